"""Which tests the default run is made of, and which run on the newest and on the oldest JAX too.

`pytest` runs what is not `slow`, `pytest -m slow` the rest, and `pytest -m "slow or not slow"` all.
"""

import pathlib
import zlib

HERE = pathlib.Path(__file__).parent

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
    "run/test_determinism.py": {
        "test_again_in_this_process_with_a_bar_and_in_chunks_of_other_sizes",
    },
    "run/test_sweep.py": {"test_every_run_is_that_of_train"},
    "run/test_train.py": {
        "test_learns_and_returns_what_it_did",
    },
    "schedules/test_schedules.py": None,
    "second_order/test_family.py": {
        "test_structure_and_dtypes_never_change",
        "test_every_number_may_be_traced_and_injected",
    },
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
    "run/test_show_data.py": {
        "test_published_data_and_faults",
    },
    "run/test_escaping.py": {
        "test_a_command[compare-]",
    },
    "config/test_own_entries.py": {
        "test_a_metric_is_measured_and_better_as_it_says",
    },
    "linear/test_fit.py": {
        "test_hinge",
    },
    "engine/test_fusions.py": {
        "test_computes_what_the_default_does",
    },
    "optimizers/test_sam.py": {
        "test_the_gradient_is_taken_uphill",
    },
    "optimizers/test_modern.py": {
        "test_prodigy_survives_a_first_step_without_rate_or_gradient",
    },
    "run/test_keep.py": {
        "test_so_many_stay_and_what_the_run_keeps_is_apart[1-steps0]",
        "test_so_many_stay_and_what_the_run_keeps_is_apart[2-steps1]",
        "test_so_many_stay_and_what_the_run_keeps_is_apart[all-steps3]",
        "test_a_disk_without_the_room_is_told_before_the_start",
    },
    "run/test_xla.py": {
        "test_a_resume_keeps_to_it_whatever_the_rule_says_now",
        "test_it_can_be_switched_off",
        "test_the_choice_is_told_and_rounds_otherwise",
    },
    "run/test_verify.py": {
        "test_another_seed_and_other_intervals",
    },
    "run/test_determinism.py": {
        "test_at_other_intervals_the_rows_and_checkpoints_that_both_have[24]",
        "test_at_other_intervals_the_rows_and_checkpoints_that_both_have[100]",
    },
    "run/test_damage.py": {
        "test_runs_of_a_sweep_whose_rows_or_files_are_damaged_are_trained_again",
        "test_a_damaged_row_is_written_again_where_a_checkpoint_is_older[0-digit]",
        "test_a_damaged_row_is_written_again_where_a_checkpoint_is_older[13-brace]",
    },
    "run/test_trackers.py": {
        "test_each_run_of_a_sweep_is_one_of_its_trackers",
        "test_numbers_that_are_not_finite_arrive",
        "test_one_that_fails_or_hangs_is_given_up_with_one_message",
    },
    "run/test_not_finite.py": {
        "test_the_optimizer_s_state_is_as_if_these_steps_had_not_been",
        "test_steps_that_are_left_out_are_counted_and_leave_no_trace[True-forward_trap]",
        "test_after_so_many_in_a_row_the_run_stops_where_it_was_good[3]",
        "test_it_is_found_without_a_folder_and_by_halving_of_long_chunks",
        "test_a_run_that_stops_names_its_step_its_layer_and_its_last_good_checkpoint[forward_trap-nnx]",
        "test_a_run_that_stops_names_its_step_its_layer_and_its_last_good_checkpoint[backward_trap-linen]",
        *(
            "test_a_run_that_stops_names_its_step_its_layer_and_its_last_good_checkpoint"
            f"[{trap}_trap-{kind}]"
            for trap, kind in (
                ("forward", "equinox"),
                ("forward", "plain"),
                ("backward", "nnx"),
                ("backward", "equinox"),
                ("backward", "plain"),
            )
        ),
        "test_steps_that_are_left_out_are_counted_and_leave_no_trace[False-forward_trap]",
        "test_steps_that_are_left_out_are_counted_and_leave_no_trace[False-backward_trap]",
        "test_steps_that_are_left_out_are_counted_and_leave_no_trace[True-backward_trap]",
        "test_after_so_many_in_a_row_the_run_stops_where_it_was_good[0]",
        "test_lanes_of_a_sweep_give_up_by_themselves",
    },
    "run/test_interrupt.py": {
        "test_a_run_saves_within_a_chunk_says_so_and_goes_on",
        "test_a_terminal_that_is_closed_ends_a_run_that_is_saved",
        "test_two_leave_at_once_and_only_what_is_there_is_called_saved",
    },
    "run/test_disk.py": {
        "test_odd_names_are_names",
        *(
            f"test_what_fails_at_a_save_is_told_there_and_older_ones_are_whole[{case}]"
            for case in ("08.npz-122", "08.npz-30", "08.npz-5", "08.json-122", "08.json-5")
        ),
        "test_odd_names_are_names[ a b ]",
        "test_odd_names_are_names[name3]",
    },
    "engine/test_evaluation.py": {
        "test_the_ragged_last_batch_counts_as_much_as_it_holds",
    },
    "engine/test_ensemble.py": {
        "test_an_ensemble_of_equals_that_are_surely_wrong_scores_as_each_does",
    },
    "run/test_streamed.py": {
        "test_held_out_images_are_decoded_once_unless_they_are_many",
        "test_streamed_and_in_memory_give_the_same_bytes_and_either_goes_on_as_the_other",
    },
    "core/test_mask.py": {
        "test_every_optimizer_with_a_mask_takes_a_module",
    },
    "core/test_ahead.py": {
        "test_workers_read_the_same_and_one_that_is_killed_is_told",
    },
    "run/test_mapped_data.py": {
        "test_a_run_on_mapped_data_is_that_on_data_in_memory",
    },
    "run/test_logs.py": {
        "test_the_memory_of_a_hundred_million_steps",
    },
    "config/test_strange_files.py": {
        "test_a_strange_option_is_taken_or_refused",
    },
    "run/test_linear.py": {
        "test_the_lasso_path_is_that_of_scikit_learn",
        "test_classifiers",
    },
    "run/test_given_data.py": {
        "test_every_form_trains_as_the_named_one",
    },
    "config/test_parameter_groups.py": {
        "test_a_run_with_groups_resumes_and_its_sweep_is_one_program",
    },
    "run/test_own_names.py": {
        "test_python_takes_them_too",
        "test_a_module_gives_a_run_its_names_and_the_run_keeps_them",
    },
    "run/test_own_data.py": {
        "test_a_sweep_goes_on_where_its_data_has_moved_to_and_not_with_other_data",
        "test_other_data_is_refused_and_what_differs_is_said",
        "test_a_run_goes_on_where_its_data_has_moved_to",
    },
    "run/test_evaluate.py": {
        "test_runs_side_by_side_on_clean_and_corrupted_images",
        "test_a_diverged_run_has_no_numbers",
        "test_the_loss_and_the_metrics_are_the_runs_own",
        "test_an_autoencoder_has_its_reconstruction_loss_and_no_error",
    },
    "run/test_start.py": {
        "test_a_resumed_run_does_not_read_it_again",
        "test_what_does_not_fit_is_drawn_anew_and_said",
    },
    "run/test_evaluate_weights.py": {
        "test_the_average_is_measured_and_the_best_of_it_kept[batch]",
    },
    "run/test_batch_size_scan.py": {
        "test_the_command_writes_a_row_and_draws",
    },
    "run/test_shipped_runs.py": {
        "test_a_run_is_read_back_and_predicts",
    },
    "run/test_report.py": {
        "test_the_report_of_a_run[diabetes]",
        "test_the_report_of_a_run[reconstruct]",
    },
    "run/test_prolong.py": {
        "test_what_a_longer_run_changes_is_said",
        "test_a_run_that_cannot_go_on_is_refused",
    },
    "run/test_shown.py": {
        "test_runs_that_have_not_ended_or_measured_anything",
        "test_a_range_test_shows_its_suggestions",
    },
    "run/test_predictions.py": {
        "test_outputs_are_those_of_the_test_to_the_bit",
        "test_a_table_is_encoded_as_training_did",
        "test_the_runs_of_a_sweep_and_their_ensembles",
        "test_other_targets",
        "test_what_else_a_run_has",
    },
    "engine/test_forward.py": {
        "test_the_curvature_sees_the_dropout_of_the_step",
        "test_what_is_computed_again_is_the_same_and_takes_less[resnet]",
    },
    "run/test_live_layers.py": {
        "test_however_the_steps_are_taken",
        "test_runs_of_a_sweep_measure_what_they_do_alone[vmap]",
        "test_rows_that_measured_nothing_have_nothing",
        "test_frozen_layers_stand_still_and_clipping_sees_what_trains",
        "test_eight_devices_measure_what_one_does",
        "test_runs_of_a_sweep_measure_what_they_do_alone[map]",
    },
    "run/test_export.py": {"test_members_ensembles_and_numbers"},
    "run/test_predict.py": {
        "test_arrays_have_numbers_of_rows_and_scores",
        "test_rows_that_do_not_fit_are_left_out",
        "test_tables_by_name",
        "test_other_targets[numbers]",
        "test_a_run_of_ones_own_names",
        "test_a_reader_that_has_seen_enough",
        "test_other_targets[labels]",
        "test_an_autoencoder_is_scored_by_its_inputs",
    },
    "augment/test_draws.py": {"test_random_affine_of_one_part_is_that_part"},
    "augment/test_taking.py": {"test_the_form_of_a_tpu_gives_the_same_pixels"},
    "augment/test_mixers.py": {"test_cutmix_mixes_with_its_probability"},
    "augment/test_policies.py": {
        "test_augmix_of_a_batch_equals_pillow_by_hand",
        "test_augmix_draws",
        "test_augmix_drawn_independently_equals_pillow_by_hand",
        "test_policy_equals_pillow_by_hand[trivial_augment, independent]",
    },
    "config/test_augmentation.py": {
        "test_consistency_compares_a_clean_view_with_two_others",
        "test_noise_among_moves_leaves_the_target_where_the_moves_take_it",
    },
    "config/test_measures.py": {
        "test_a_metric_is_watched",
        "test_metrics_of_numbers_and_of_labels_need_no_name",
    },
    "config/test_curvature.py": {
        "test_the_engine_gives_the_curvature_of_its_batch",
        "test_an_autoencoder_rebuilds_its_images",
        "test_kfac_trains_with_controls_dropout_and_batch_normalization",
    },
    "config/test_own_names.py": {
        f"test_models_train_by_their_names[{model}]" for model in ("Net", "tiny")
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
    "engine/test_gradient.py": {
        "test_the_curvature_is_of_the_weighted_loss",
        *(
            f"test_parts_add_up_to_the_batch[{case}]"
            for case in ("1-4", "1-10", "3-1", "3-4", "3-10")
        ),
    },
    "sweeps/test_split_runs.py": {"test_eight_devices_as_four_runs_of_two"},
    "engine/test_scale.py": {"test_the_bytes_are_those_of_the_compiled_step"},
    "engine/test_layout.py": {
        "test_a_device_holds_its_part_and_no_state_is_gathered",
        "test_checkpoints_go_from_eight_devices_to_two_and_one_and_back",
        "test_eight_devices_train_what_one_does",
        "test_eight_devices_train_what_one_does_by_curvature",
    },
    "nn/test_lsuv.py": {"test_fifty_plain_layers[False]", "test_fifty_plain_layers"},
    "nn/test_models.py": {
        "test_a_deep_plain_network_does_not_train_and_its_residual_twin_does",
        "test_noise_acts_in_training_only[WideResNet]",
        "test_seeds_are_vmapped[resnet]",
        "test_seeds_are_vmapped[wide_resnet]",
    },
    "nn/test_from_nnx.py": {"test_trains_from_a_configuration"},
    "run/test_backup.py": {
        "test_a_copy_made_while_a_run_writes_has_the_rows_of_its_checkpoints",
        "test_a_run_whose_machine_vanished_goes_on_to_the_same_bytes",
        *(f"test_a_damaged_archive_is_passed_over_and_told[{d}]" for d in ("cut", "forget_hash")),
    },
    "run/test_checkpoint_seconds.py": {
        "test_the_folder_is_as_without_them",
        "test_a_killed_run_loses_what_came_after_the_last_of_them[33-False]",
        "test_a_killed_run_loses_what_came_after_the_last_of_them[33-True]",
        "test_a_run_that_diverges_keeps_the_last_good_one",
        "test_an_interrupt_leaves_no_trace_either",
        "test_only_what_takes_long_is_saved_because_of_the_time",
    },
    "run/test_controls.py": {
        "test_snapshots_make_an_ensemble",
        "test_schedule_free_is_evaluated_at_its_average",
        "test_the_best_parameters_are_kept_those_of_the_last_evaluation_too",
        "test_averaged_weights_are_tested_with_statistics_of_their_own",
        "test_early_stopping_on_loss_beside_a_plateau_on_val_loss",
    },
    "run/test_diagnose.py": {
        "test_a_diverged_run_is_judged_by_its_beginning",
        "test_runs_of_two_networks_have_no_line_between_them",
        "test_a_surface_has_the_runs_own_loss_at_its_center",
        "test_a_checkpoint_is_looked_at_as_evaluate_does",
        "test_a_run_of_a_sweep_is_judged",
        "test_between_two_runs_batch_statistics_are_those_of_the_point",
        "test_layers_that_cannot_train_are_found",
        "test_the_command_writes_a_page_or_prints_numbers",
        "test_the_curvature_is_that_of_the_runs_own_loss",
        "test_what_was_not_written_or_held_out",
    },
    "run/test_distributed.py": {
        "test_the_report_is_of_parameters_that_are_split_over_the_processes_too",
        "test_a_run_whose_other_processes_never_come_ends_with_a_message",
        "test_a_process_reads_its_own_rows_only",
        "test_a_run_goes_on_in_fewer_and_in_more_processes",
        "test_processes_that_would_not_train_the_same_are_refused",
        "test_two_processes_go_on_from_the_checkpoint_that_they_wrote_and_one_can_too",
        "test_what_slurm_says_is_told_where_its_coordinator_does_not_answer",
    },
    "run/test_live_curvature.py": {
        "test_is_the_largest_eigenvalue_of_the_dense_hessian",
        "test_a_resumed_run_measures_as_one_that_never_stopped",
        "test_runs_of_a_sweep_measure_what_they_do_alone",
    },
    "run/test_load_run.py": {
        "test_a_run_that_was_interrupted_is_read_at_its_newest_checkpoint",
        "test_a_model_of_ones_own_is_given_again",
        *(
            f"test_a_run_is_read_back_and_applied_to_raw_inputs[{kind}]"
            for kind in ("average", "bfloat16", "last", "schedule-free")
        ),
    },
    "run/test_sweep.py": {
        "test_a_run_that_diverges_costs_its_neighbors_nothing",
        "test_early_stopping_is_each_run_s_own",
        "test_halving_trains_the_best_to_the_end_and_the_rest_less",
        "test_runs_under_way_go_on_where_they_were",
        "test_what_had_diverged_when_it_was_interrupted_is_not_finished_later",
        "test_a_sweep_that_halves_is_not_trained_again_after_a_kill",
        "test_a_schedule_in_the_place_of_a_number_is_part_of_the_program",
        "test_bootstrap_members_differ_and_predict_together",
        "test_eight_devices_change_nothing",
        "test_goes_on_where_it_was_killed",
        "test_lengths_and_patience_are_traced_too",
        "test_mapped_and_vectorized_agree",
        "test_runs_that_are_trained_are_not_lost_before_they_are_written_down",
        "test_waves_that_fit_the_memory_change_nothing",
    },
    "run/test_together.py": {
        "test_a_folder_that_not_all_see_is_refused",
        "test_a_host_that_is_gone_with_its_companion_is_named_by_its_silence",
        "test_one_that_is_gone_ends_all_within_a_minute_and_is_named",
        "test_one_that_lives_and_is_stuck_ends_all_and_is_named",
        "test_sigterm_before_there_is_anything_to_save_ends_all",
        "test_what_one_refuses_ends_all_with_its_message",
    },
    "run/test_train.py": {
        "test_a_diverging_run_keeps_its_best[1]",
        "test_a_diverging_run_stops_and_says_so",
        "test_a_finished_run_resumes_to_the_same_result",
        "test_a_run_goes_on_from_the_step_that_is_asked_for_and_says_which",
        "test_a_run_whose_loss_explodes_has_diverged_though_it_is_finite",
        "test_a_run_without_a_checkpoint_yet_starts_over",
        "test_a_users_model_need_not_be_told_to_train",
        "test_damaged_checkpoints_are_refused_and_nothing_is_lost",
        "test_a_diverging_run_keeps_its_best[12]",
        "test_an_interrupted_run_resumes_to_the_same_bytes[1]",
        "test_an_interrupted_run_resumes_to_the_same_bytes[4]",
        "test_a_killed_run_resumes_to_the_same_bytes",
        "test_a_users_model_resumes_whatever_its_address",
        "test_bfloat16_trains",
    },
    "second_order/test_two_devices.py": {"test_two_devices"},
    "test_cli.py": {
        "test_backup_keeps_archives_elsewhere_and_resume_takes_them_back",
        "test_devices_that_are_asked_for_and_not_there",
        "test_sigterm_saves_and_exits_130_and_the_run_goes_on",
        "test_a_full_disk_exits_1_and_keeps_what_was_saved",
    },
    "test_notebooks.py": {
        "test_runs_from_top_to_bottom_and_after_a_lost_session",
        "test_runs_on_colabs_versions_and_leaves_them_alone",
        "test_stops_with_a_message",
        "test_the_course_runs_from_top_to_bottom_and_draws_its_pictures",
    },
}

# Where many cases are held to many promises. Of a test's cases the default runs a sixteenth,
# another sixteenth in each test, so that every promise and many cases are tried in every run.
TABLES = {
    "augment": {"attacks", "augment", "corruptions", "draws", "geometry", "mixers", "tone"},
    "compat": {
        "against_records",
        "compat_family",
        "named_differences",
        "schedulers_and_callbacks",
    },
    "control": {"accessors", "averages", "control_family", "gradients", "plateau"},
    "diagnostics": {"activation_health", "curvature"},
    "engine": {"loop", "permutation"},
    "linalg": {"linalg"},
    "linear": {"closed_forms", "fit"},
    "losses": {"losses", "margins_and_distances", "metrics"},
    "nn": {"as_model", "conv", "maxout_maxplus", "models", "normalizations"},
    "optimizers": {
        *("against_optax", "batch_axes", "family", "float64", "meta_gradients"),
        *("scale_by", "weight_decay"),
    },
    "plots": {"plots"},
    "schedules": {"schedules", "schedules_against_recorded"},
    "run": {"three_way"},
    "second_order": {"against_dense", "behavior", "family", "shampoo_soap"},
    "sweeps": {"blocks"},
    "testing": {"kit", "promises"},
}


def mark(items):
    """Mark each test `fast`, `slow` or neither."""
    tables = {HERE / room / f"test_{name}.py" for room, names in TABLES.items() for name in names}
    cases = {}
    for item in items:
        path = item.path.relative_to(HERE).as_posix()
        fast = FAST.get(path, ())
        if fast is None or item.originalname in fast:
            item.add_marker("fast")
        if {item.name, item.originalname} & SLOW.get(path, set()):
            item.add_marker("slow")
        elif item.path in tables:
            cases.setdefault((path, item.originalname), []).append(item)
    for of_one_test in cases.values():
        by_draw = sorted(of_one_test, key=lambda item: zlib.crc32(item.name.encode()))
        for item in by_draw[-(-len(by_draw) // 16) :] if len(by_draw) > 2 else ():
            item.add_marker("slow")
