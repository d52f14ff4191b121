"""Functions of the servers that only compute and look. Any other may do anything."""

from __future__ import annotations

import re

from broker.gate.text import names

_COMMON = names(
    """abs acos ascii asin atan atan2 avg bit_and bit_count bit_length bit_or bit_xor cast ceil ceiling
    char char_length character_length coalesce concat concat_ws convert cos cot count crc32 cume_dist
    current_date current_role current_time current_timestamp current_user date degrees dense_rank exp
    extract first_value floor format greatest if ifnull instr isnull json_array json_arrayagg
    json_object json_objectagg json_value json_query json_exists lag last_value lcase lead least left
    length ln localtime localtimestamp log log10 log2 lower lpad ltrim max md5 min mod now nth_value
    ntile nullif octet_length overlay percent_rank pi position pow power radians rand random rank
    regexp_instr regexp_like regexp_replace regexp_substr repeat replace reverse right round row_number
    rpad rtrim session_user sha1 sha2 sign sin sqrt stddev stddev_pop stddev_samp strcmp substr
    substring sum system_user tan time timestamp trim truncate ucase upper user uuid var_pop var_samp
    variance version year month day hour minute second quarter week isfinite translate treat normalize
    grouping any_value unnest exists interval row values"""
)
_POSTGRESQL = names(
    """age array_agg array_append array_cat array_dims array_fill array_length array_lower array_ndims
    array_position array_positions array_prepend array_remove array_replace array_sample array_shuffle
    array_to_json array_to_string array_to_tsvector array_upper bool_and bool_or every bit bpchar btrim
    cardinality cbrt chr clock_timestamp col_description corr covar_pop covar_samp current_catalog
    current_database current_query current_schema current_schemas current_setting date_bin date_part
    date_trunc decode digest encode erf erfc factorial format_type gcd gen_random_uuid generate_series
    generate_subscripts get_bit get_byte getdatabaseencoding hmac host hostmask inet_client_addr
    inet_client_port inet_merge inet_same_family inet_server_addr inet_server_port initcap isclosed
    isempty isopen json_build_array json_build_object json_each json_each_text lcm length localtime
    lower_inc lower_inf lseg make_date make_interval make_time make_timestamp make_timestamptz masklen
    min_scale mode mxid_age netmask network num_nonnulls num_nulls numnode obj_description parse_ident
    path pclose percentile_cont percentile_disc phraseto_tsquery plainto_tsquery point polygon
    pg_backend_pid pg_blocking_pids pg_cancel_none pg_char_to_encoding pg_client_encoding
    pg_collation_for pg_collation_is_visible pg_column_compression pg_column_size pg_conf_load_time
    pg_control_checkpoint pg_control_init pg_control_recovery pg_control_system pg_conversion_is_visible
    pg_current_logfile pg_current_snapshot pg_current_wal_flush_lsn pg_current_wal_insert_lsn
    pg_current_wal_lsn pg_current_xact_id_if_assigned pg_database_size pg_describe_object
    pg_encoding_to_char pg_filenode_relation pg_function_is_visible pg_has_role pg_identify_object
    pg_identify_object_as_address pg_indexes_size pg_is_in_backup pg_is_in_recovery
    pg_is_other_temp_schema pg_is_wal_replay_paused pg_jit_available pg_last_committed_xact
    pg_last_wal_receive_lsn pg_last_wal_replay_lsn pg_last_xact_replay_timestamp pg_listening_channels
    pg_lock_status pg_ls_archive_statusdir pg_ls_dir pg_ls_logdir pg_ls_logicalmapdir
    pg_ls_logicalsnapdir pg_ls_replslotdir pg_ls_tmpdir pg_ls_waldir pg_my_temp_schema
    pg_notification_queue_usage pg_opclass_is_visible pg_operator_is_visible pg_opfamily_is_visible
    pg_options_to_table pg_partition_ancestors pg_partition_root pg_partition_tree
    pg_postmaster_start_time pg_read_binary_file pg_read_file pg_relation_filenode pg_relation_filepath
    pg_relation_size pg_safe_snapshot_blocking_pids pg_settings_get_flags pg_show_all_settings
    pg_size_bytes pg_size_pretty pg_sleep pg_sleep_for pg_sleep_until pg_snapshot_xip pg_snapshot_xmax
    pg_snapshot_xmin pg_stat_file pg_stat_statements pg_table_is_visible pg_table_size
    pg_tablespace_databases pg_tablespace_location pg_tablespace_size pg_timezone_abbrevs
    pg_timezone_names pg_total_relation_size pg_trigger_depth pg_ts_config_is_visible pg_type_is_visible
    pg_typeof pg_visible_in_snapshot pg_wal_lsn_diff pg_walfile_name pg_walfile_name_offset
    pg_xact_commit_timestamp pg_xact_status pgp_sym_decrypt querytree quote_ident quote_literal
    quote_nullable radius range_agg range_intersect_agg range_merge regexp_count regexp_match
    regexp_matches regexp_split_to_array regexp_split_to_table regr_avgx regr_avgy regr_count
    regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy row_security_active row_to_json rolname
    scale set_bit set_byte set_masklen setseed setweight sha224 sha256 sha384 sha512 shobj_description
    similarity slope split_part starts_with statement_timestamp string_agg string_to_array
    string_to_table strip strpos substring_index text timeofday to_ascii to_bin to_char to_date to_hex
    to_json to_jsonb to_number to_oct to_reg to_regclass to_regcollation to_regnamespace to_regoper
    to_regoperator to_regproc to_regprocedure to_regrole to_regtype to_timestamp to_tsquery to_tsvector
    tranction transaction_timestamp trim_array trim_scale trunc ts_debug ts_delete ts_filter ts_headline
    ts_lexize ts_parse ts_rank ts_rank_cd ts_rewrite ts_stat ts_token_type tsquery_phrase
    tsvector_to_array txid_current_if_assigned txid_current_snapshot txid_snapshot_xip
    txid_snapshot_xmax txid_snapshot_xmin txid_status txid_visible_in_snapshot unicode_assigned unistr
    upper_inc upper_inf uuid_generate_v1 uuid_generate_v4 uuidv4 uuidv7 websearch_to_tsquery width
    width_bucket xml_is_well_formed xml_is_well_formed_content xml_is_well_formed_document xmlagg
    xmlattributes xmlcomment xmlconcat xmlelement xmlexists xmlforest xmlparse xmlpi xmlroot
    xmlserialize xmltable xpath xpath_exists json_table json_scalar json_serialize json abbrev acosd
    acosh area asind asinh atan2d atand atanh bound_box box center circle cosd cosh cotd diagonal
    diameter family height int4range int8range numrange tsrange tstzrange daterange int4multirange
    int8multirange nummultirange tsmultirange tstzmultirange datemultirange justify_days justify_hours
    justify_interval line npoints popen sind sinh tand tanh macaddr8_set7bit enum_first enum_last
    enum_range hashtext hashtextextended int2 int4 int8 float4 float8 numeric decimal varchar
    timestamptz jsonb_pretty lastval currval pg_sequence_last_value pg_sequence_parameters table_to_xml
    schema_to_xml database_to_xml table_to_xmlschema cursor_to_xmlschema pg_input_is_valid
    pg_input_error_info crypt gen_salt levenshtein soundex metaphone word_similarity show_trgm unaccent
    hstore akeys avals skeys svals nlevel subpath ltree2text bool date_add date_subtract"""
) - {"tranction", "pg_cancel_none", "rolname", "to_reg"}
_POSTGRESQL_FAMILIES = re.compile(
    r"(?:jsonb?_(?:agg|array\w*|build\w*|each\w*|extract\w*|insert|object\w*|path\w*|populate\w*|set|set_lax|strip_nulls|to_record\w*|"
    r"typeof|pretty|delete\w*)|has_\w+_privilege|pg_get_\w+|pg_stat_get_(?!snapshot_clear)\w+|pg_options_\w+|bttext\w*|st_(?!\w*(?:create|drop))\w+)\Z"
)
_MYSQL = names(
    """acos adddate addtime aes_decrypt aes_encrypt ascii asin atan2 atan benchmark bin bin_to_uuid
    bit_length charset coercibility collation compress conv convert_tz connection_id curdate curtime
    database date_add date_format date_sub datediff dayname dayofmonth dayofweek dayofyear default elt
    encrypt export_set extractvalue field find_in_set from_base64 from_days from_unixtime format_bytes
    format_pico_time found_rows get_format group_concat hex icu_version inet6_aton inet6_ntoa inet_aton
    inet_ntoa insert is_ipv4 is_ipv4_compat is_ipv4_mapped is_ipv6 is_uuid json_contains
    json_contains_path json_depth json_extract json_insert json_keys json_length json_merge
    json_merge_patch json_merge_preserve json_overlaps json_pretty json_quote json_remove json_replace
    json_schema_valid json_search json_set json_storage_free json_storage_size json_table json_type
    json_unquote json_valid json_detailed json_compact json_loose last_day load_file locate make_set
    makedate maketime match mid microsecond monthname name_const oct oldpassword ord password period_add
    period_diff ps_current_thread_id ps_thread_id quote random_bytes roles_graphml row_count schema
    sec_to_time sha sleep soundex space statement_digest statement_digest_text std str_to_date subdate
    substring_index subtime sysdate time_format time_to_sec timediff timestampadd timestampdiff
    to_base64 to_days to_seconds uncompress uncompressed_length unhex unix_timestamp updatexml utc_date
    utc_time utc_timestamp uuid_short uuid_to_bin validate_password_strength weekday weekofyear
    weight_string yearweek is_free_lock is_used_lock last_insert_id lastval current_role gtid_subset
    gtid_subtract nvl nvl2 decode_oracle natural_sort_key analyse column_get column_list column_json
    column_exists key signed unsigned binary using nchar datetime st_astext st_asgeojson st_contains
    st_distance st_geomfromtext st_within st_x st_y point linestring polygon"""
) - {"decode_oracle"}
_SQLITE = names(
    """acosh asinh atanh changes char concat concat_ws cosh date datetime format glob group_concat hex iif
    instr json jsonb julianday last_insert_rowid like likelihood likely log2 median octet_length
    percentile percentile_cont percentile_disc printf quote randomblob sinh soundex
    sqlite_compileoption_get sqlite_compileoption_used sqlite_source_id sqlite_version strftime
    string_agg substr subtype tanh timediff total total_changes typeof unhex unicode unistr unixepoch
    unlikely zeroblob generate_series base64 base85 sha1 sha3 decimal bm25 highlight snippet trunc"""
)
_SQLITE_FAMILIES = re.compile(
    r"(?:jsonb?_(?:array\w*|each|error_position|extract|group_array|group_object|insert|object|patch|pretty|quote|"
    r"remove|replace|set|tree|type|valid)|pragma_(?:table|index|foreign_key|function|database|collation|module)\w*)\Z"
)
_RUNS_MORE = re.compile(
    r"load_extension|edit|fts3_tokenizer|eval|dblink|query_to_xml|database_to|shell|system|sys_"
)
"""Functions that run code or SQL which is not in the statement."""
_EFFECTS_DML = names(
    """nextval setval lo_put lo_create lo_creat lo_from_bytea lo_unlink lo_truncate lo_truncate64 lowrite
    lo_open loread"""
)
_EFFECTS_SESSION = frozenset({"set_config"})
_RUNS_TEXT = names("""query_to_xml query_to_xmlschema query_to_xml_and_xmlschema""")


def harmless(dialect: str, name: str) -> bool:
    """True for a function of the server that changes nothing."""
    if name in _EFFECTS_DML or name in _EFFECTS_SESSION:
        return False
    if name in _COMMON:
        return True
    if dialect == "mysql":
        return name in _MYSQL
    if dialect == "sqlite":
        return name in _SQLITE or _SQLITE_FAMILIES.match(name) is not None
    return name in _POSTGRESQL or _POSTGRESQL_FAMILIES.match(name) is not None


def runs_text(name: str) -> bool:
    """True for a function that runs the SQL it is given as a text."""
    return name in _RUNS_TEXT


def runs_more(name: str) -> bool:
    """True for a function that runs what is not in the statement, or what it is given."""
    return _RUNS_MORE.match(name) is not None


def effect(name: str) -> str:
    """The kind of a statement that calls a function which is not harmless."""
    if name in _EFFECTS_DML:
        return "dml"
    if name in _EFFECTS_SESSION:
        return "session"
    known_admin = re.match(
        r"pg_|lo_|dblink|load_extension|writefile|readfile|edit|fts3_tokenizer|sys_|get_lock|release_|master_|source_|wait_|ps_|asynchronous|group_replication",
        name,
    )
    return "admin" if known_admin else "select"
