"""One line for every public algorithm: the arguments its family's tests call it with."""

OPTIMIZERS = {
    "sgd": {"learning_rate": 0.1},
    "momentum": {"learning_rate": 0.05},
    "adam": {"learning_rate": 0.1},
}
SCHEDULES = {
    "linear_decay": {"steps": 10},
    "cosine_decay": {"steps": 10},
}
AUGMENTATIONS = {
    "random_crop": {"padding": 2},
    "random_flip": {},
}
MODELS = {
    "mlp": {"hidden": [16]},
    "cnn": {"channels": [4, 8]},
}
LOSSES = {
    "softmax_cross_entropy": {"label_smoothing": 0.1},
}
METRICS = {
    "accuracy": {},
}
DATASETS = {
    "digits": {},
    "mnist": {},
    "fashion_mnist": {},
    "cifar10": {},
    "cifar100": {},
}
PROBLEMS = {
    "quadratic": {},
    "rosenbrock": {},
}
PLOTS = {
    "loss_curve": {},
    "accuracy_curve": {},
    "learning_rate_curve": {},
}
