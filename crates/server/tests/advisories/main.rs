//! What has happened to others: advisories of engines of this kind, each as a test that would fail
//! if the same hole were here. The pages are public; a test is named after its number and the hole.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod expressions;
mod outside;
mod tenants;
mod text;

use access::*;
use expressions::*;
use outside::*;
use tenants::*;
use text::*;

macro_rules! advisories {
    ($($name:ident: $check:expr;)*) => { $(
        #[tokio::test]
        async fn $name() {
            $check.await;
        }
    )* };
}

advisories! {
    // Expressions and scripts: the language is closed, and what comes out of it is data.
    cve_2025_68613_n8n_expression_reaches_the_host: escapes(&["this.constructor.constructor('return process')()", "this", "process.env"]);
    cve_2026_1470_n8n_expression_parser_is_fooled: escapes(&["with (input) { constructor }", "(() => process)()"]);
    cve_2026_25049_n8n_fix_is_bypassed: escapes(&["input['constr' + 'uctor']['constructor']('x')()", "input.__proto__", "''.constructor"]);
    cve_2026_27577_n8n_expression_runs_a_command: escapes(&["require('child_process').execSync('id')", "import('fs')"]);
    cve_2026_27495_n8n_sandbox_is_left: escapes(&["new Function('return 1')()", "globalThis", "eval('1')"]);
    cve_2025_68668_n8n_python_sandbox_is_left: escapes(&["().__class__.__bases__[0].__subclasses__()", "__import__('os')"]);
    cve_2026_27497_n8n_query_becomes_code: escapes(&["input.constructor.name", "{}.toString.call(1)"]);
    cve_2025_26074_conductor_java_from_script: escapes(&["Java.type('java.lang.Runtime')", "java.lang.Runtime.getRuntime()"]);
    cve_2026_58138_conductor_host_access: escapes(&["$.getClass().forName('java.lang.Runtime')", "''.getClass()"]);
    cve_2026_109432_camunda_expression_reaches_the_engine: escapes(&["execution.getProcessEngineServices()", "run.engine", "secrets"]);
    cve_2026_26938_kibana_template_reads_a_file: stays_text(&["{{ 7*7 }}", "{% include '/etc/passwd' %}", "#{7*7}", "<%= 7*7 %>", "${7*7}", "`id`", "$(id)"]);
    cve_2021_37914_argo_output_of_a_template_is_evaluated: data_is_not_evaluated();
    // Who is let in.
    ghsa_6qr9_g2xw_cw92_dagu_open_by_default: listens_beyond_the_machine_only_with_tokens();
    cve_2020_13927_airflow_interface_open_by_default: lets_nobody_in(&["POST /v1/workflows/x/runs", "GET /v1/runs", "PUT /v1/workflows/x"]);
    ghsa_9wmw_9wph_2vwp_dagu_event_stream_is_open: lets_nobody_in(&["GET /v1/events?topics=runs:*"]);
    cve_2026_49869_suffix_auth: lets_nobody_in(&["GET /v1/runs/configs", "GET /v1/tokens/configs", "GET /v1/runs/healthz", "GET /v1/tokens/openapi.json", "GET /v1/audit/metrics"]);
    cve_2026_53576_kestra_suffix_auth_again: lets_nobody_in(&["GET /v1/runs;/healthz", "GET /v1/runs%2f..%2fhealthz", "GET /healthz/../v1/runs", "GET /v1/runs?x=/healthz", "GET //v1/runs", "GET /V1/runs"]);
    cve_2026_7723_prefect_upgrade_goes_around: upgrades_go_around_nothing();
    cve_2026_5724_temporal_stream_is_open: lets_nobody_in(&["GET /v1/runs/01JD8X3M7QK4S6T8V0W2Y4Z6B8/result?wait=30", "GET /v1/runs/01JD8X3M7QK4S6T8V0W2Y4Z6B8/logs", "POST /v1/workers/wk_x/poll"]);
    cve_2020_17526_airflow_same_secret_everywhere: nothing_of_one_server_is_known_to_another();
    cve_2023_40273_airflow_session_outlives_its_user: a_revoked_token_is_refused_at_once();
    cve_2017_17835_airflow_forged_request: a_page_of_others_changes_nothing("http://evil.example", "text/plain");
    cve_2019_0229_airflow_forged_request_again: a_page_of_others_changes_nothing("null", "application/x-www-form-urlencoded");
    ghsa_4hh5_2678_83fx_prefect_forged_request: a_page_of_others_changes_nothing("http://evil.example", "application/json");
    // Whose things are whose.
    cve_2025_14986_temporal_batch_crosses_namespaces: a_bulk_job_leaves_others_alone();
    cve_2025_14987_temporal_command_crosses_namespaces: a_sub_object_of_others_is_not_found();
    cve_2023_3485_temporal_namespace_from_the_token_of_a_task: a_lease_of_others_is_not_found();
    cve_2026_5199_temporal_namespace_from_the_request: the_namespace_is_not_asked_for();
    cve_2023_42663_airflow_lists_show_others: lists_leave_out_what_is_of_others();
    cve_2026_28229_argo_templates_are_read: a_definition_of_others_is_not_found();
    cve_2026_42572_hatchet_cursor_crosses_tenants: a_cursor_of_others_shows_nothing();
    // Text that becomes something else.
    cve_2026_34612_kestra_filter_becomes_sql: filters_are_data();
    cve_2026_23696_windmill_name_becomes_sql: names_are_data(&["x' OR '1'='1", "x\"; DROP TABLE runs; --"]);
    cve_2026_29059_windmill_name_becomes_a_path: names_are_data(&["../../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "/etc/passwd"]);
    cve_2026_27598_dagu_name_becomes_a_path: names_are_data(&["../x", "a/../../b"]);
    cve_2026_33344_dagu_encoded_slash: names_are_data(&["..%2fx", "%2e%2e%2fx", "..%5cx", "%252e%252e%252fx"]);
    cve_2026_21858_n8n_other_content_type: another_content_type_is_not_read_as_json();
    cve_2026_23960_argo_name_becomes_markup: nothing_is_markup();
    // Webhooks.
    cve_2026_21894_n8n_signature_is_not_checked: a_webhook_without_a_good_signature_is_refused();
    cve_2026_86080_n8n_check_fails_open: a_webhook_whose_secret_is_missing_is_refused();
    // Addresses.
    cve_2026_56348_n8n_request_to_the_inside: inner_addresses_are_refused(&["http://127.0.0.1/", "http://127.1/", "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/", "http://localhost./", "http://0.0.0.0/"]);
    ghsa_fp9c_pq7w_vr34_mapped_address: inner_addresses_are_refused(&["http://[::ffff:a9fe:a9fe]/", "http://[::ffff:127.0.0.1]/", "http://[::1]/", "http://[fd00::1]/", "http://[fe80::1]/"]);
    cve_2026_109404_conductor_metadata_service: inner_addresses_are_refused(&["http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "http://192.168.0.1/", "file:///etc/passwd"]);
    // Too much.
    cve_2026_42294_argo_webhook_body_without_bound: a_huge_webhook_is_refused();
    cve_2026_40886_argo_strange_label_ends_the_process: strange_labels_end_nothing();
    cve_2024_2689_temporal_text_that_is_no_text: text_that_is_no_text_is_refused();
    cve_2023_36543_airflow_pattern_that_explodes: a_pattern_that_explodes_ends();
    rustsec_2018_0005_yaml_nests_without_bound: nests_are_refused();
    rustsec_2024_0363_sqlx_length_overflows: lengths_do_not_overflow();
    // What is left behind.
    cve_2022_38170_airflow_files_for_everybody: the_store_is_for_its_owner_alone();
    cve_2025_68438_airflow_mask_is_lost_when_text_is_cut: a_secret_is_blotted_before_text_is_cut();
}
