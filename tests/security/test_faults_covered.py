"""Every fault that a gateway has to survive, with what is expected of it and the tests that prove it."""

from __future__ import annotations

import ast
import functools
from typing import NamedTuple

import pytest

from tests.support.servers import ROOT

TESTS = ROOT / "tests"
FOLDERS = ("", "unit", "live")
SERVERS = "dialects/kong/servers"
NATIVE = "dialects/prest/native"


class Fault(NamedTuple):
    """What goes wrong, what is expected then, and the tests that prove it: file under tests, names."""

    expected: str
    proofs: dict[str, list[str]]


FAULTS = {
    "a plugin cannot be built from its configuration": Fault(
        "nothing starts, with plugin, field and reason; at a reload the one in force stays",
        {
            "configuration/test_plan.py": [
                "test_what_is_wrong_is_told_where_it_is",
                "test_everything_wrong_is_told_at_once",
                "test_whatever_configure_raises_is_a_problem_of_its_entry",
            ],
            "test_gateway.py": ["test_a_bad_configuration_is_refused_at_once"],
            "test_reload.py": ["test_a_bad_configuration_is_refused_with_one_line"],
        },
    ),
    "a plugin raises in init_worker": Fault(
        "it is off, or refuses everybody if it decides who passes; never half on",
        {
            "kernel/test_worker.py": [
                "test_a_plugin_that_fails_to_start_is_logged_and_left_out",
                "test_a_plugin_that_decides_who_may_pass_refuses_everybody_then",
                "test_unless_its_entry_is_open",
            ],
            "test_reload.py": ["test_a_plugin_that_cannot_start_leaves_the_old_ones_running"],
            "mounts/test_gunicorn.py": ["test_a_plugin_that_cannot_start_does_not_end_the_worker"],
        },
    ),
    "a plugin raises before the app is called": Fault(
        "one request gets a 500 that tells nothing; filters and log run; the app is not called",
        {
            "kernel/test_chain.py": [
                "test_a_failure_is_a_clean_500_that_tells_nothing_and_is_logged_with_its_entry",
                "test_a_failure_in_access_skips_lower_access_and_runs_all_filters",
            ],
            "configuration/test_certificates.py": [
                "test_a_plugin_that_fails_leaves_the_servers_own_and_is_logged"
            ],
            "security/test_fault_plugins.py": ["test_one_request_suffers_when_memory_runs_out"],
        },
    ),
    "a plugin raises in header_filter": Fault(
        "a 500 if nothing was sent, else the connection ends without a false end of the body",
        {
            "kernel/test_chain.py": [
                "test_a_failure_in_header_filter_skips_lower_filters_and_lets_nothing_of_the_answer_through",
                "test_a_header_filter_that_fails_below_an_exit_is_a_clean_500_unless_open",
            ],
            "kernel/test_response_iterable.py": [
                "test_log_sees_the_status_that_was_sent_when_an_error_comes_too_late"
            ],
            "live/test_pep3333.py": [
                "test_a_filter_that_fails_first_gives_a_clean_500_and_later_cuts_the_stream"
            ],
        },
    ),
    "a plugin raises in body_filter": Fault(
        "the stream is cut so that clients can tell; the app is closed once and the exchange logged once",
        {
            "kernel/test_response.py": [
                "test_a_body_filter_that_fails_before_the_first_byte_gives_a_clean_500",
                "test_a_body_filter_that_fails_later_cuts_the_stream_by_raising",
            ],
            "live/test_pep3333.py": [
                "test_a_filter_that_fails_first_gives_a_clean_500_and_later_cuts_the_stream",
                "test_an_app_that_fails_later_is_cut_detectably",
            ],
        },
    ),
    "something raises in log, or in close": Fault(
        "the answer is as it would be; the failure is logged",
        {
            "kernel/test_chain.py": ["test_failures_in_log_are_isolated_from_each_other_and_from_the_answer"],
            "kernel/test_response_iterable.py": [
                "test_log_is_told_of_an_app_whose_close_raises",
                "test_a_failing_close_does_not_hide_why_the_exchange_ended",
            ],
            "kernel/test_worker.py": ["test_a_failing_close_of_one_plugin_leaves_the_others_their_turn"],
            "test_reload.py": ["test_a_failing_close_is_logged_and_the_rest_is_closed"],
        },
    ),
    "a plugin raises what ends a process or a greenlet": Fault(
        "it passes through, and the exchange is logged once",
        {
            "kernel/test_response_iterable.py": [
                "test_what_stops_a_process_is_let_through_with_the_app_closed_and_the_exchange_logged",
                "test_a_greenlet_that_is_ended_in_a_handed_over_app_goes_on_to_the_server",
            ],
            "test_gateway.py": ["test_what_stops_a_process_is_let_through_rewrite_too"],
            "security/test_fault_plugins.py": [
                "test_what_ends_a_process_or_a_greenlet_passes_through_and_is_logged_once"
            ],
        },
    ),
    "a plugin answers garbage": Fault(
        "a 500, and the log names the plugin",
        {
            "security/test_fault_plugins.py": ["test_garbage_of_a_plugin_is_a_500_and_the_log_names_it"],
            "wsgi/test_answer.py": [
                "test_an_exit_status_is_between_100_and_599",
                "test_a_header_value_cannot_split_the_response",
            ],
        },
    ),
    "a plugin hangs": Fault(
        "the worker's timeout or the plugin's own limit ends it; others go on",
        {
            "security/test_fault_plugins.py": ["test_a_plugin_that_hangs_holds_up_nobody_else"],
            f"{NATIVE}/test_isolation.py": ["test_a_call_that_misses_its_deadline_is_killed_and_504"],
            f"{SERVERS}/test_go_servers.py": ["test_a_silent_handler_is_killed_and_started_again"],
            "mounts/test_gunicorn.py": ["test_a_close_that_hangs_does_not_keep_the_worker"],
        },
    ),
    "a plugin server refuses, dies, is silent, or talks nonsense": Fault(
        "a 500 within its timeout, never sent twice; started again once a second; no descriptor leaks",
        {
            f"{SERVERS}/test_faults.py": [
                "test_a_fault_costs_one_request_in_time",
                "test_a_refused_connection_costs_what_connect_timeout_says",
                "test_after_one_has_waited_others_do_not",
                "test_no_descriptor_is_left_after_many_faults",
            ],
            f"{SERVERS}/test_python_servers.py": [
                "test_a_server_that_ends_is_started_again_not_before_a_second",
                "test_a_call_that_may_have_had_effects_is_not_tried_again",
                "test_a_killed_server_leaves_its_socket_and_is_waited_for",
            ],
            f"{SERVERS}/test_every_language.py": [
                "test_a_killed_server_leaves_its_socket_and_is_started_again"
            ],
        },
    ),
    "a plugin server floods its standard error": Fault(
        "the pipe is drained and the log limited",
        {f"{SERVERS}/test_python_servers.py": ["test_what_a_server_writes_is_drained_and_limited"]},
    ),
    "Redis is down from the start, or dies": Fault(
        "tolerant entries let pass, others answer 500; one wait, then none; used again within 2 s",
        {
            "security/test_fault_stores.py": [
                "test_a_redis_that_fails_costs_one_timeout_and_is_used_again_within_two_seconds",
            ],
            "live/test_limits.py": ["test_redis_stopped_slow_and_back_again"],
            "stores/test_redis.py": [
                "test_calls_fail_at_once_while_the_server_is_known_to_be_down",
                "test_a_server_that_is_back_is_used_again_within_two_seconds",
                "test_a_command_whose_answer_is_lost_is_not_sent_again",
            ],
        },
    ),
    "Redis is slow, half-open, loading, read-only, or has forgotten the scripts": Fault(
        "bounded by the timeout; threads do not pile up; no counter is negative",
        {
            "security/test_fault_stores.py": [
                "test_a_redis_that_fails_costs_one_timeout_and_is_used_again_within_two_seconds",
            ],
            "stores/test_redis.py": [
                "test_a_silent_server_holds_twenty_threads_for_one_timeout",
                "test_a_backlog_that_nobody_accepts_is_bounded",
                "test_a_server_that_takes_no_writes_yet_counts_as_down_until_it_does",
                "test_an_unknown_script_is_sent_once_and_known_from_then_on",
            ],
            "stores/test_contract.py": ["test_a_counter_never_falls_below_zero"],
        },
    ),
    "the disk is full, or a log file is taken away": Fault(
        "answers as before; lost lines are counted; writing goes on with whole lines",
        {
            "security/test_fault_sinks.py": [
                "test_a_full_disk_loses_lines_and_joins_none",
                "test_a_log_that_is_taken_away_is_made_anew_once_it_can_be",
            ],
            "contrib/test_file_log.py": [
                "test_what_cannot_be_written_is_told_once_a_minute_and_the_answer_goes_out",
                "test_losses_are_told_with_their_number",
            ],
            "telemetry/sinks/test_files.py": [
                "test_a_line_that_breaks_off_is_taken_back",
                "test_a_line_after_one_that_broke_off_begins_on_its_own",
            ],
        },
    ),
    "a log server is down, slow, failing, or closes each connection": Fault(
        "answers as before; the queue is bounded, its oldest dropped and counted; a short flush at exit",
        {
            "security/test_fault_sinks.py": [
                "test_a_log_server_that_fails_holds_up_no_answer_and_gets_what_waited",
                "test_the_end_of_a_worker_does_not_wait_for_a_log_server_that_hangs",
            ],
            "telemetry/test_queue.py": [
                "test_a_full_queue_drops_the_oldest_and_resumes",
                "test_bytes_have_a_bound_of_their_own",
                "test_a_sink_that_hangs_never_holds_up_who_puts",
                "test_a_sink_that_hangs_ends_at_the_deadline_and_what_it_has_is_told",
            ],
            "contrib/test_http_log.py": [
                "test_entries_for_a_server_that_is_down_cost_no_more_memory_than_its_queue",
                "test_what_waits_is_sent_when_a_worker_ends",
            ],
            "contrib/test_tcp_log.py": [
                "test_a_server_that_is_killed_and_comes_back_gets_what_came_meanwhile"
            ],
        },
    ),
    "the name of a log server has no address": Fault(
        "what is lost is counted, and no request looks a name up",
        {
            "telemetry/sinks/test_datagrams.py": [
                "test_a_name_is_looked_up_once_a_minute_and_its_last_address_stays_good",
                "test_a_name_without_an_address_loses_nothing",
            ],
            "contrib/test_log_outages.py": ["test_a_name_without_an_address_delays_nobody_and_is_told"],
            "contrib/test_syslog.py": ["test_no_daemon_is_told_and_delays_nobody"],
            "contrib/test_http_log.py": ["test_a_name_without_an_address_does_not_hang_the_end"],
        },
    ),
    "the server of bundles fails, or has no good bundle": Fault(
        "at the start an error with a name; later the last good one stays; tries end; no request waits",
        {
            "security/test_fault_bundles.py": [
                "test_at_the_start_each_fault_has_its_name_and_leaves_nothing",
                "test_later_the_last_good_one_stays_until_there_is_a_better_one",
                "test_a_reload_while_the_server_fails_blocks_no_request",
            ],
            "bundles/test_download.py": [
                "test_five_tries_with_pauses_that_double",
                "test_no_try_begins_after_twenty_seconds",
            ],
            "dialects/tyk/test_middleware.py": [
                "test_an_api_whose_bundle_is_bad_is_not_served_and_others_are",
                "test_strict_refuses_an_api_whose_bundle_is_bad",
            ],
        },
    ),
    "a configuration is half-written, empty, no document, or wrong": Fault(
        "the one in force stays, one line tells why and where; the next good one is taken at once",
        {
            "security/test_fault_configuration.py": [
                "test_a_bad_configuration_is_told_in_one_line_with_its_place",
                "test_bad_configurations_under_load_fail_no_request_and_the_next_good_one_is_taken",
            ],
            "reload/test_watcher.py": [
                "test_a_file_is_left_alone_while_it_is_being_written",
                "test_a_request_for_a_reload_that_comes_during_one_or_just_after_it_is_another",
            ],
        },
    ),
    "many reloads under load, two at once": Fault(
        "no request fails, each sees one configuration; what is old is collected",
        {
            "security/test_fault_configuration.py": [
                "test_reloads_at_once_come_one_after_the_other_and_requests_see_one_each"
            ],
            "live/test_reload.py": ["test_changes_under_load_fail_no_request"],
            "test_reload.py": [
                "test_requests_from_many_threads_see_one_configuration_each",
                "test_nothing_is_left_of_old_generations",
            ],
        },
    ),
    "a reload while an answer streams": Fault(
        "the stream ends under the configuration it began with",
        {
            "live/test_reload.py": ["test_a_running_stream_ends_under_the_configuration_it_began_with"],
            "test_reload.py": [
                "test_a_running_request_ends_under_the_old_configuration_which_is_then_closed"
            ],
        },
    ),
    "a fork after threads and connections were made": Fault(
        "each process makes its own; two workers share no socket but the one they listen on",
        {
            "security/test_fault_processes.py": [
                "test_what_ran_before_the_fork_is_made_again_in_each_worker"
            ],
            "stores/test_redis.py": ["test_forked_children_use_connections_of_their_own"],
            "stores/test_memory.py": ["test_a_child_forked_while_the_lock_is_held_goes_on_alone"],
            "telemetry/test_queue.py": ["test_a_forked_child_has_its_own_empty_queues"],
            f"{NATIVE}/test_isolation.py": ["test_a_forked_child_begins_with_processes_of_its_own"],
        },
    ),
    "the clock jumps": Fault(
        "waits go on as they were; no limit locks out for over a window; tokens go by the wall's clock",
        {
            "security/test_fault_processes.py": [
                "test_a_jump_of_the_clock_locks_nobody_out_for_over_a_window",
                "test_a_token_is_judged_by_the_clock_of_the_wall_without_any_slack",
                "test_a_signature_is_judged_by_the_clock_of_the_wall_within_its_skew",
            ],
            "stores/test_table.py": ["test_a_clock_that_jumps_back_locks_for_one_window_at_most"],
            "telemetry/test_queue.py": ["test_the_wall_clock_plays_no_part"],
            "contrib/test_limits.py": ["test_windows_follow_the_clock_forth_and_back"],
        },
    ),
    "SIGHUP under load": Fault(
        "no request fails",
        {
            "security/test_fault_processes.py": ["test_hup_under_load_fails_no_request_and_loses_no_line"],
            "live/test_reload.py": ["test_hup_with_a_bad_configuration_leaves_the_workers_alone"],
        },
    ),
    "SIGTERM under load": Fault(
        "what runs ends whole, what waits is sent, exit 0 in time",
        {"security/test_fault_processes.py": ["test_term_under_load_ends_what_runs_and_sends_what_waits"]},
    ),
    "SIGKILL of a worker": Fault(
        "the other serves on, and all that they share can be used",
        {
            "security/test_fault_processes.py": ["test_a_killed_worker_takes_only_its_own_requests_with_it"],
            "live/test_limits.py": ["test_killed_workers_take_nothing_with_them"],
            "stores/test_file.py": [
                "test_sixty_times_two_workers_killed_while_counting_lose_nothing",
                "test_workers_killed_while_writing_values_break_none",
            ],
        },
    ),
    "a client sends a byte at a time, or hangs up": Fault(
        "logged once, closed once, nothing of it is kept",
        {
            "security/test_fault_clients.py": [
                "test_a_client_that_sends_a_byte_now_and_then_holds_up_nobody",
                "test_a_client_that_hangs_up_in_its_request_is_logged_once",
                "test_a_client_that_hangs_up_in_its_answer_ends_it_once",
                "test_a_request_body_that_breaks_off_is_dropped_at_once",
                "test_an_answer_that_nobody_takes_any_more_is_dropped_at_once",
            ],
            "kernel/test_response_iterable.py": ["test_a_client_that_goes_away_leaves_the_app_closed_once"],
        },
    ),
    "files or memory run out in a plugin": Fault(
        "a 500 for that request, and all is well when there is room again",
        {
            "security/test_fault_plugins.py": [
                "test_one_request_suffers_when_memory_runs_out",
                "test_one_request_suffers_when_files_run_out_and_they_are_given_back_at_once",
                "test_what_a_failed_plugin_had_open_is_given_back_without_the_garbage_collector",
            ]
        },
    ),
    "a hundred plugins on a route, fifty gateways in each other": Fault(
        "served, at a cost that grows in line",
        {
            "security/test_fault_size.py": [
                "test_the_cost_of_a_request_grows_in_line_with_the_plugins_it_passes",
                "test_what_is_configured_for_other_routes_costs_a_request_nothing",
                "test_reading_the_configuration_grows_in_line_too",
            ],
            "kernel/test_chain.py": ["test_a_hundred_plugins_run_in_order", "test_gateways_nest_fifty_deep"],
        },
    ),
}


@functools.cache
def names_in(file: str) -> frozenset[str]:
    """Return the functions of a test file, in whichever of the folders of tests it stands."""
    places = [place for place in (TESTS / folder / file for folder in FOLDERS) if place.exists()]
    trees = [ast.parse(place.read_text(encoding="utf-8")) for place in places]
    return frozenset(node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_has_tests_that_exist(fault):
    expected, proofs = FAULTS[fault]
    assert expected
    assert proofs
    gone = {file: {*names} - names_in(file) for file, names in proofs.items()}
    assert not any(gone.values()), gone


def test_every_test_of_a_fault_is_in_the_table():
    told = {
        (file, name) for fault in FAULTS.values() for file, names in fault.proofs.items() for name in names
    }
    there = {
        (f"security/{path.name}", name)
        for path in TESTS.glob("**/security/test_fault_*.py")
        for name in names_in(f"security/{path.name}")
        if name.startswith("test_")
    }
    assert there - told == set()
