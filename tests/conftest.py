"""Warnings are errors (pyproject), and so is an implicit rank promotion.

Most of the suite's time is compilation, so it is made cheap here:

- A program that was compiled once is read from a folder afterwards: in the next test, in the
  processes that tests start, and in the next run of this checkout.
- XLA's passes, which decide what is computed in which order, all run; but a loop's code comes from
  XLA's older emitter, which takes a third of the time, in one piece, and LLVM's costlier passes are
  left out. JAX 0.12 has no older emitter.
- What was compiled for one directory of tests is let go before the next, because a worker would
  otherwise grow by gigabytes.
- Python looks for garbage less often, and a program does not hold the lines that it came from.

`XLA_FLAGS=--xla_cpu_use_fusion_emitters=true pytest` runs everything with the emitter of users.
"""

import gc
import os
import pathlib
import shutil
import tempfile

import jax
import pytest

flags = os.environ.get("XLA_FLAGS", "")
# XLA ends the process at a flag that it does not know.
if jax.__version_info__ < (0, 11) and "xla_cpu_use_fusion_emitters" not in flags:
    flags += " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
os.environ["XLA_FLAGS"] = flags.strip()

jax.config.update("jax_numpy_rank_promotion", "raise")
for _name, _value in {
    "jax_persistent_cache_min_compile_time_secs": 0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
    "jax_disable_most_optimizations": True,
    "jax_traceback_in_locations_limit": 0,
}.items():
    jax.config.update(_name, _value)
    os.environ[_name.upper()] = str(_value)

gc.set_threshold(50_000, 20, 100)

# What runs on the newest and the oldest JAX too, in under a minute each: a file, or tests of it.
FAST = {
    "augment/test_augment.py": {"test_what_goes_in_comes_out"},
    "compat/test_compat_family.py": {"test_structure_and_dtypes_never_change"},
    "config/test_load.py": None,
    "control/test_control_family.py": {
        "test_every_number_may_be_traced",
        "test_in_a_chain_around_an_optimizer",
        "test_inject_hyperparams",
        "test_masked_and_partition",
        "test_nnx_and_equinox_parameters",
        "test_one_trace_serves_every_step_and_both_can_be_donated",
        "test_structure_and_dtypes_never_change",
    },
    "core/test_ranges.py": None,
    "engine/test_loop.py": {
        "test_an_epoch_sees_every_sample_once_and_the_next_in_another_order",
        "test_one_by_one_equals_the_loop",
        "test_vmap_over_seeds_equals_runs_alone",
    },
    "engine/test_step.py": {
        "test_equals_a_plain_loop",
        "test_types_stay_and_so_a_loop_is_compiled_once",
        "test_bfloat16_computes_narrow_and_keeps_float32",
    },
    "nn/test_models.py": {
        "test_a_row_of_outputs_a_sample",
        "test_every_choice_of_layers",
        "test_noise_acts_in_training_only",
    },
    "optimizers/test_family.py": {
        "test_structure_and_dtypes_never_change",
        "test_bfloat16_parameters_move_as_their_float32_copies_would",
        "test_jit_and_scan_equal_eager",
        "test_one_trace_serves_every_step_and_buffers_may_be_donated",
        "test_masked_and_partition",
        "test_inject_hyperparams",
        "test_nnx_and_equinox_parameters",
    },
    "run/test_sweep.py": {"test_every_run_is_that_of_train"},
    "run/test_train.py": {
        "test_learns_and_returns_what_it_did",
        "test_two_runs_are_the_same_to_the_byte_and_seeds_differ",
    },
    "schedules/test_schedules.py": None,
    "second_order/test_family.py": {
        "test_structure_and_dtypes_never_change",
        "test_every_number_may_be_traced_and_injected",
    },
    "test_architecture.py": None,
    "test_cli.py": {
        "test_train_writes_a_numbered_run_folder",
        "test_print_config_is_a_config_with_every_default",
        "test_dry_run_counts_without_training",
    },
}

# What takes long where the default has a quicker test of the same mechanism: other kills, other
# counts of devices and processes, the whole grid of sizes, float32 beside float64, a twin as it is
# beside the same with options. A test, or one of its cases.
SLOW = {
    "augment/test_augment.py": {"test_of_a_batch[augmix]"},
    "augment/test_draws.py": {"test_gaussian_blur_equals_scipy[30.0-1000.0]"},
    "augment/test_mixers.py": {
        f"test_float_images_and_distributions_come_out[{mix}-shape2-{dtype}]"
        for mix in ("cutmix", "mixup")
        for dtype in ("uint8", "float32", "bfloat16")
    },
    "augment/test_policies.py": {
        "test_augmix_draws",
        "test_augmix_drawn_independently_equals_pillow_by_hand",
        "test_policy_equals_pillow_by_hand[trivial_augment, independent]",
    },
    "compat/test_compat_family.py": {
        f"{test}[{twin}]"
        for test in (
            "test_injected_hyperparameters_and_donated_buffers",
            "test_takes_numbers_and_names_what_is_missing",
            "test_traced_rates_and_schedules_and_scales",
        )
        for twin in (
            *("keras.SGD", "keras.RMSprop", "keras.Adam", "torch.SGD", "torch.RMSprop"),
            *("torch.Adagrad", "torch.Adam", "torch.AdamW", "torch.NAdam"),
        )
    },
    "config/test_augmentation.py": {
        "test_consistency_compares_a_clean_view_with_two_others",
        "test_noise_among_moves_leaves_the_target_where_the_moves_take_it",
    },
    "config/test_curvature.py": {
        "test_an_autoencoder_rebuilds_its_images",
        "test_kfac_trains_with_controls_dropout_and_batch_normalization",
    },
    "diagnostics/test_activation_health.py": {
        f"test_every_activation_by_its_own_derivative[{name}]"
        for name in ("elu", "gelu", "leaky_relu", "prelu", "selu", "silu", "softplus")
    },
    "diagnostics/test_curvature.py": {
        "test_of_a_network_against_eigh[mlp]",
        "test_jit_equals_eager_and_float32_stays",
        "test_of_a_network_against_eigh[cnn]",
        "test_ragged_batches_make_the_hessian_of_all_samples[cnn]",
    },
    "diagnostics/test_sharpness.py": {"test_of_a_network_against_eigh[cnn]"},
    "diagnostics/test_surfaces.py": {
        "test_a_plane_equals_a_double_loop[cnn-None]",
        "test_a_plane_equals_a_double_loop[mlp-4]",
        "test_the_plane_of_a_path_is_that_of_numpy",
        "test_both_ends_and_the_middle_are_the_objectives_own[cnn-float64]",
    },
    "engine/test_data_parallel.py": {"test_eight_devices"},
    "engine/test_loop.py": {
        *(
            f"test_a_stopped_run_is_frozen_whole_and_ends[{case}]"
            for case in ("0-1", "1-None", "1-1", "6-None")
        ),
        *(
            f"test_chunks_of_any_length_give_the_same_bytes[{case}]"
            for case in ("None-22", "1-5", "1-22", "3-1")
        ),
    },
    "engine/test_permutation.py": {
        f"test_is_the_permutation_of_jax[{size}]" for size in (3, 1221, 65536)
    },
    "nn/test_lsuv.py": {"test_fifty_plain_layers[False]"},
    "nn/test_models.py": {
        "test_a_deep_plain_network_does_not_train_and_its_residual_twin_does",
        "test_noise_acts_in_training_only[WideResNet]",
        "test_seeds_are_vmapped[resnet]",
        "test_seeds_are_vmapped[wide_resnet]",
    },
    "optimizers/test_batch_axes.py": {"test_stacked_layers_move_as_alone[shampoo, sgd]"},
    "run/test_diagnose.py": {
        "test_a_run_of_a_sweep_is_judged",
        "test_between_two_runs_batch_statistics_are_those_of_the_point",
        "test_layers_that_cannot_train_are_found",
        "test_the_command_writes_a_page_or_prints_numbers",
        "test_the_curvature_is_that_of_the_runs_own_loss",
        "test_what_was_not_written_or_held_out",
    },
    "run/test_distributed.py": {
        "test_a_killed_process_ends_the_other_with_a_message",
        "test_two_processes_go_on_from_the_checkpoint_that_they_wrote_and_one_can_too",
    },
    "run/test_live_curvature.py": {
        "test_a_resumed_run_measures_as_one_that_never_stopped",
        "test_runs_of_a_sweep_measure_what_they_do_alone",
    },
    "run/test_load_run.py": {
        f"test_a_run_is_read_back_and_applied_to_raw_inputs[{kind}]"
        for kind in ("average", "bfloat16", "last", "schedule-free")
    },
    "run/test_sweep.py": {
        "test_a_schedule_in_the_place_of_a_number_is_part_of_the_program[control="
        '[{name = "sam", rho = {name = "cosine_decay", peak = 0.1, steps = "50%"}}]]',
        "test_bootstrap_members_differ_and_predict_together",
        "test_eight_devices_change_nothing",
        "test_goes_on_where_it_was_killed",
        "test_lengths_and_patience_are_traced_too",
        "test_mapped_and_vectorized_agree",
        "test_waves_that_fit_the_memory_change_nothing",
    },
    "run/test_train.py": {
        "test_a_diverging_run_keeps_its_best[12]",
        "test_a_killed_run_resumes_to_the_same_bytes",
        "test_a_users_model_resumes_whatever_its_address",
        "test_an_interrupted_run_resumes_to_the_same_bytes[1]",
        "test_an_interrupted_run_resumes_to_the_same_bytes[4]",
    },
    "second_order/test_against_dense.py": {
        *(
            f"test_natural_gradient[mlp float32-{case}]"
            for case in ("ggn-cg", "ggn-dense", "mc-woodbury", "empirical-cg")
        ),
        *(
            f"test_block_natural_gradient[mlp float32-{case}]"
            for case in ("ggn-layer", "mc-layer", "empirical-leaf")
        ),
        *(
            f"test_diagonal_hessian[mlp float32-{case}]"
            for case in ("exact-adahessian", "gauss_newton-damped", "hutchinson-damped")
        ),
        *(f"test_newton[mlp float32-{safeguard}]" for safeguard in ("absolute", "shift")),
        "test_products_and_gradients[mlp float32]",
    },
    "second_order/test_family.py": {
        f"test_vmap_over_learning_rates_and_seeds_equals_a_loop_of_scans[{name}]"
        for name in ("diagonal_hessian", "kfac", "natural_gradient", "newton_cg", "soap")
    },
    "second_order/test_shampoo_soap.py": {
        f"test_blocks_are_put_together_again[{size}-shape{i}]"
        for size in (1, 100)
        for i in (1, 2, 4, 5, 6)
    },
    "second_order/test_two_devices.py": {"test_two_devices"},
    "test_cli.py": {"test_a_full_disk_exits_1_and_keeps_what_was_saved"},
}
HERE = pathlib.Path(__file__).parent

CACHE_LIMIT = 500e6  # bytes a worker; a run of the whole suite leaves about a fifth of it


class Cache:
    """A worker's folder of compiled programs, kept from run to run: JAX's keys hold its version.

    JAX does not write an entry in one go. So a folder is used by one process at a time (another run
    beside it gets a temporary one), and what a killed run left behind is thrown away: `dirty` is in
    the folder from a run's start to its end.
    """

    def __init__(self, path):
        self.lock, self.temporary = None, None
        path.mkdir(parents=True, exist_ok=True)
        try:
            import fcntl

            self.lock = (path / "lock").open("w")
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (ImportError, OSError):  # Windows; in use
            self.temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
            path = pathlib.Path(self.temporary.name)
        self.programs, self.dirty = path / "programs", path / "dirty"
        size = sum(file.stat().st_size for file in self.programs.glob("*"))
        if self.dirty.exists() or size > CACHE_LIMIT:
            shutil.rmtree(self.programs, ignore_errors=True)
        self.dirty.touch()

    def close(self):
        self.dirty.unlink(missing_ok=True)
        if self.lock:
            self.lock.close()
        if self.temporary:
            self.temporary.cleanup()


def pytest_configure(config):
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None and config.getoption("numprocesses", None):
        return  # the workers run the tests
    cache = Cache(config.rootpath / ".pytest_cache" / "xla" / (worker or "alone"))
    config.add_cleanup(cache.close)
    jax.config.update("jax_compilation_cache_dir", str(cache.programs))
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(cache.programs)


def pytest_collection_modifyitems(items):
    for item in items:
        path = item.path.relative_to(HERE).as_posix()
        names = FAST.get(path, ())
        if names is None or item.originalname in names:
            item.add_marker("fast")
        if {item.name, item.originalname} & SLOW.get(path, set()):
            item.add_marker("slow")


def pytest_runtest_teardown(item, nextitem):
    if nextitem is not None and nextitem.path.parent != item.path.parent:
        jax.clear_caches()


@pytest.fixture
def fully_optimized():
    """LLVM's passes too, where a last digit that they change is magnified or compared."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture
def x64():
    """64-bit types for one test, to compare beyond float32's precision."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)
