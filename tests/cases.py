"""One line for every public algorithm: the arguments its family's tests call it with."""

OPTIMIZERS = {
    "sgd": {"learning_rate": 0.1},
    "momentum": {"learning_rate": 0.05},
    "nesterov": {"learning_rate": 0.05},
    "adagrad": {"learning_rate": 0.5},
    "rmsprop": {"learning_rate": 0.1},
    "adadelta": {"learning_rate": 10.0},
    "adam": {"learning_rate": 0.1},
    "adamw": {"learning_rate": 0.1},
    "nadam": {"learning_rate": 0.1},
    "nadamw": {"learning_rate": 0.1},
    "lion": {"learning_rate": 0.1},
    "muon": {"learning_rate": 0.1},
    "schedule_free_sgd": {"learning_rate": 0.1},
    "schedule_free_adamw": {"learning_rate": 0.1},
    "prodigy": {"learning_rate": 1.0},
    "ademamix": {"learning_rate": 0.02},
    "lamb": {"learning_rate": 0.05},
    "lars": {"learning_rate": 0.05},
    "radam": {"learning_rate": 0.1},
    "adan": {"learning_rate": 0.1},
    "adabelief": {"learning_rate": 0.1},
}
SECOND_ORDER = {  # beside the extra `curvature`: see tests/second_order/making.py
    "newton": {"learning_rate": 0.5, "damping": 0.3},
    "newton_cg": {"learning_rate": 0.5, "damping": 1.0, "warm_start": 0.5, "adapt_damping": True},
    "natural_gradient": {"learning_rate": 0.5, "damping": 0.1, "adapt_damping": True},
    "block_natural_gradient": {"learning_rate": 0.5, "damping": 0.1},
    "diagonal_hessian": {"learning_rate": 0.1},
    "gradient_variance": {"learning_rate": 0.1},
    "kfac": {"learning_rate": 0.5, "damping": 0.1, "momentum": 0.0, "norm_constraint": 0.1},
    "shampoo": {"learning_rate": 0.1, "eps": 1e-2, "block_size": 3, "every": 2},
    "soap": {"learning_rate": 0.1, "eps": 1e-2, "block_size": 3, "every": 2},
}
SCHEDULES = {
    "constant": {},
    "linear_decay": {"steps": 10},
    "inverse_time_decay": {"rate": 0.5},
    "exponential_decay": {"every": 5, "rate": 0.5},
    "step_decay": {"every": 5},
    "polynomial_decay": {"steps": 10, "power": 0.9},
    "cosine_decay": {"steps": 10},
    "cyclical": {"up": 4, "down": 6},
    "sgdr": {"cycle": 5, "t_mult": 2, "m_mult": 0.8, "warmup": 1},
    "one_cycle": {"steps": 20},
    "wsd": {"steps": 20, "warmup": 5, "decay": 5},
    "warmup": {"steps": 10},
}
CONTROLS = {  # beside what the program gives: see tests/control/making.py
    "clip_by_value": {"max_value": 0.5},
    "clip_by_norm": {"max_norm": 0.5},
    "clip_by_global_norm": {"max_norm": 0.5},
    "add_gradient_noise": {"seed": 0},
    "reduce_on_plateau": {"factor": 0.5, "patience": 1},
    "weight_ema": {"decay": 0.9},
    "stochastic_weight_averaging": {"start": 1, "every": 2},
    "snapshots": {"members": 2},
    "multi_steps": {"every": 2},
    "skip_not_finite": {},
    "plateau_learning_rate": {"factor": 0.5, "patience": 1},
    "early_stopping": {"patience": 2},
}
AUGMENTATIONS = {
    "random_crop": {"padding": 2},
    "random_flip": {},
    "random_translate": {"max_share": 0.4},
    "random_rotate": {"max_angle": 30.0},
    "random_zoom": {},
    "random_shear": {},
    "random_affine": {},
    "random_autocontrast": {},
    "random_equalize": {},
    "random_posterize": {},
    "random_solarize": {},
    "random_invert": {},
    "random_gamma": {},
    "random_brightness": {},
    "random_contrast": {},
    "random_saturation": {},
    "random_sharpness": {},
    "random_hue": {},
    "random_grayscale": {},
    "cutout": {"length": 3},
    "random_erasing": {"probability": 0.8},
    "gaussian_blur": {"max_sigma": 1.0},
    "gaussian_noise": {},
    "augmix": {},
    "rand_augment": {},
    "trivial_augment": {},
}
MIXERS = {
    "mixup": {"alpha": 0.5},
    "cutmix": {"per_sample": True},
}
ATTACKS = {
    "fgsm": {},
    "pgd": {"steps": 2},
}
CORRUPTIONS = {  # beside key and image
    "gaussian_noise": {"severity": 3},
    "shot_noise": {"severity": 3},
    "impulse_noise": {"severity": 3},
    "defocus_blur": {"severity": 3},
    "glass_blur": {"severity": 3},
    "motion_blur": {"severity": 3},
    "zoom_blur": {"severity": 3},
    "snow": {"severity": 3},
    "frost": {"severity": 3},
    "fog": {"severity": 3},
    "brightness": {"severity": 3},
    "contrast": {"severity": 3},
    "elastic_transform": {"severity": 3},
    "pixelate": {"severity": 3},
    "jpeg_compression": {"severity": 3},
}
MODELS = {
    "linear": {},
    "mlp": {"hidden": [16]},
    "cnn": {"channels": [4, 8]},
    "resnet": {"depth": 8, "width": 4},
    "wide_resnet": {"depth": 10, "width": 1},
    "plain": {"depth": 8, "width": 4},
    "autoencoder": {"hidden": [16, 8], "code": 4},
}
INITIALIZERS = {
    "gaussian": {"stddev": 0.02},
    "glorot_uniform": {},
    "glorot_normal": {},
    "he_uniform": {},
    "he_normal": {},
    "orthogonal": {"scale": 1.5},
    "delta_orthogonal": {"scale": 1.5},
}
LOSSES = {
    "softmax_cross_entropy": {"label_smoothing": 0.1},
    "squared_error": {},
    "logistic": {},
    "hinge": {"multiclass": "weston_watkins", "squared": True},
}
METRICS = {
    "accuracy": {},
}
PENALTIES = {
    "l1": {"weight": 0.1},
    "l2": {"weight": 0.1},
    "elastic_net": {"weight": 0.1, "ratio": 0.3},
}
DATASETS = {
    "digits": {},
    "mnist": {},
    "fashion_mnist": {},
    "cifar10": {},
    "cifar100": {},
    "diabetes": {},
    "breast_cancer": {},
}
SOLVERS = {  # beside X and y
    "ols": {},
    "ridge": {"lam": 0.5},
    "tikhonov": {"gamma": [[0.5, 0.0, 0.0], [0.0, 1.0, -1.0]]},
    "ridge_path": {"lams": [0.1, 1.0]},
    "fit": {"loss": "squared", "penalty": "elastic_net", "lam": 0.1},
}
FEATURES = {
    "polynomial": {"degree": 2},
    "fourier": {"features": 8},
}
PROBLEMS = {
    "quadratic": {},
    "rosenbrock": {},
}
PLOTS = {
    "loss_curve": {},
    "accuracy_curve": {},
    "learning_rate_curve": {},
    "regularization_path": {},
    "image_grid": {},
    "descent_paths": {},
    "axis_curve": {},
    "axes_heat_map": {},
    "parallel_coordinates": {},
    "run_curves": {},
    "range_test": {},
    "batch_size_curve": {},
    "curvature_curve": {},
    "loss_surface": {},
    "spectral_density": {},
    "layer_norms": {},
    "activation_fractions": {},
    "reliability_diagram": {},
}
