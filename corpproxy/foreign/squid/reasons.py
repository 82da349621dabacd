"""Directives without a counterpart, and why there is none; a comment in the policy says so of each line."""

from __future__ import annotations

import re

# The first pattern that fits a name decides.
_REASONS: tuple[tuple[str, str], ...] = (
    (
        r"cache_peer.*|never_direct|always_direct|prefer_direct|nonhierarchical_direct|neighbor_.*|"
        r"dead_peer_timeout|peer_.*|hierarchy_stoplist|minimum_direct_.*|miss_access",
        "requests go to their servers directly; there are no parent proxies",
    ),
    (
        r"cache(_mem|_dir|_replacement.*|_swap_.*|_store_log|_vary|_miss_.*)?|memory_.*|maximum_object_.*|"
        r"minimum_object_.*|store_.*|refresh_.*|max_stale|max_open_disk_fds|range_offset_limit|quick_abort_.*|"
        r"collapsed_.*|offline_mode|reload_into_ims|ie_refresh|send_hit|minimum_expiry_time|vary_.*|"
        r"shared_.*|negative_ttl|ignore_.*|override_.*|digest_.*|diskd_program|unlinkd_program|"
        r"read_ahead_gap|broken_vary_encoding|update_headers|retry_on_error|refresh_all_ims",
        "there is no cache: every answer comes from its server",
    ),
    (
        r"ssl_.*|sslproxy_.*|sslcrtd_.*|sslcrtvalidator_.*|sslpassword_program|tls_.*|https_port|"
        r"on_unsupported_protocol|host_verify_strict",
        "TLS is not opened: of https the host is known, from CONNECT and from the server name",
    ),
    (
        r"icap_.*|ecap_.*|adaptation_.*|adapted_http_access|loadable_modules|force_request_body_continuation",
        "contents are not handed to other programs",
    ),
    (
        r"url_rewrite_.*|redirect_.*|redirector_.*|store_id_.*|location_rewrite_.*|"
        r"rewrite_.*|as_whois_server",
        "URLs are not rewritten by programs; a rule with do: redirect leads elsewhere",
    ),
    (
        r"delay_.*|client_delay_.*|response_delay_.*|tcp_outgoing_.*|clientside_tos|mark_client_.*|qos_flows|"
        r"zph_.*|.*_uses_indirect_client|client_dst_passthru|spoof_client_ip",
        "how fast and from which address something goes is not set here",
    ),
    (
        r"icp_.*|htcp_.*|snmp_.*|wccp.*|udp_.*|mcast_.*|netdb_.*|query_icmp|test_reachability|pinger_.*|"
        r"ident_.*|announce_.*|ftp_.*|mime_table|gopher.*|wais_.*|log_icp_queries|.*_icp_query_timeout|"
        r"background_ping_rate",
        "this protocol is not spoken",
    ),
    (
        r"access_log|cache_log|cache_access_log|logformat|logfile_.*|log_.*|debug_options|buffered_logs|"
        r"strip_query_terms|emulate_httpd_log|forward_log|referer_log|useragent_log|client_netmask|"
        r"stats_collection|coredump_dir|pid_filename|icap_log|error_log_languages",
        "every exchange is recorded below state:, in one format; 'corpproxy audit' reads it",
    ),
    (
        r"error_.*|err_.*|email_err_data|icon_directory|short_icon_urls|global_internal_static|"
        r"httpd_suppress_version_string|mail_.*",
        "pages are those of this proxy; contact:, logo: and the rules' say: are what they tell",
    ),
    (
        r"request_header_.*|reply_header_.*|header_.*|http_upgrade_request_protocols|note|"
        r"relaxed_header_parser|uri_whitespace|request_entities|broken_posts|server_http11|client_ip_.*|"
        r"upgrade_http0.9|pipeline_prefetch|detect_broken_pconn|.*_persistent_connections|"
        r"persistent_connection_.*|half_closed_clients|follow_x_forwarded_for|proxy_protocol_access|"
        r"allow_underscore|check_hostnames|max_filedescriptors|esi_parser|httpd_accel_.*|"
        r"http_accel_.*|acl_uses_.*|accept_filter|tcp_recv_bufsize|.*_rate|min_.*_poll_cnt|"
        r"incoming_.*|happy_eyeballs_.*|connect_retries|forward_max_tries|balance_.*|"
        r"server_pconn_for_nonretriable|extension_methods|reply_header_max_size",
        "messages are forwarded as the standards say; there is no switch for it",
    ),
    (
        r"workers|cpu_affinity_map|hopeless_kid_.*|cache_effective_.*|chroot|umask|sleep_after_fork|"
        r"high_.*_warning|windows_.*|memory_pools.*|client_db|ipcache_.*|fqdncache_.*|positive_dns_ttl|"
        r"negative_dns_ttl|dns_.*|hosts_file|append_domain|ignore_unknown_nameservers|eui_lookup|"
        r"unique_hostname|hostname_aliases|cachemgr_passwd|configuration_includes_quoted_values|"
        r"maximum_single_addr_tries|url_rewrite_.*|shutdown_lifetime|client_persistent_.*",
        "how the service itself runs is set elsewhere, or needs no setting",
    ),
    (
        r"auth_param|authenticate_.*|auth_schemes|external_acl_type|external_refresh_check",
        "this way to sign in is not there; people sign in by name and password (Basic)",
    ),
    (
        r".*_timeout|client_lifetime|pconn_lifetime|.*_max_size|client_request_buffer_.*",
        "the waits and limits of this proxy stand in timeouts:, connections: and http:",
    ),
)
_COMPILED = tuple((re.compile(pattern), reason) for pattern, reason in _REASONS)


def reason_for(name: str) -> str | None:
    """Why a directive has no counterpart; None for one that Squid does not have either."""
    return next((reason for pattern, reason in _COMPILED if pattern.fullmatch(name)), None)
