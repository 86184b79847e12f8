"""Every figure of the course into docs/figures, or those that are named.

python scripts/figures/all.py [NAME ...]
"""

import sys

from chapter_2_linear import FIGURES as LINEAR
from chapter_3_augmentation import FIGURES as AUGMENTATION
from chapter_3_fits import FIGURES as FITS
from chapter_3_remedies import FIGURES as REMEDIES
from chapter_4_descent import FIGURES as DESCENT
from chapter_5_optimizers import FIGURES as OPTIMIZERS
from chapter_6_difficulties import FIGURES as DIFFICULTIES
from drawing import write

FIGURES = LINEAR | FITS | REMEDIES | AUGMENTATION | DESCENT | OPTIMIZERS | DIFFICULTIES

if __name__ == "__main__":
    write(FIGURES, sys.argv[1:])
