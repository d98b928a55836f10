//! Commands to try next, which work unchanged with the running stack.

use flowmeter_stack::Installation;

/// A metric of the built-in sample.
pub(crate) const METRIC: &str = "ODSLRequest/ReadRequests";

/// One bucket per hour.
pub(crate) const CALENDAR: &str = "#PT1H";

/// The commands, ready to paste. `since` is the date of the first events.
pub(crate) fn commands(installation: &Installation, since: &str) -> String {
    let (ingest, query) = (installation.ingest.url(), installation.query.url());
    let (ingest_at, query_at) = (installation.ingest.address(), installation.query.address());
    let (cli, token) = (installation.binaries.cli.display(), &installation.token);
    let range = format!("from({since})");
    let authorization = format!("-H 'authorization: Bearer {token}'");
    format!(
        r#"
With the command line:

  export FLOWMETER_INGEST_URL={ingest} FLOWMETER_QUERY_URL={query}
  export FLOWMETER_TOKEN={token}
  alias flowmeter='{cli}'
  flowmeter series {METRIC} --calendar '{CALENDAR}' --range '{range}'
  flowmeter sample | flowmeter replay - --format jsonl
  flowmeter --help

With grpcurl:

  grpcurl -plaintext {ingest_at} list
  grpcurl -plaintext {query_at} list
  grpcurl -plaintext {query_at} describe flowmeter.v1.QueryService
  grpcurl -plaintext {query_at} flowmeter.v1.QueryService/GetBuildInfo
  grpcurl -plaintext {authorization} \
    -d '{{"events": [{{"method": "get", "service": "/pets", "httpstatus": 200, "duration": 12}}]}}' \
    {ingest_at} flowmeter.v1.IngestService/RecordUsage
  grpcurl -plaintext {authorization} \
    -d '{{"metric": "{METRIC}", "calendar": "{CALENDAR}", "range": "{range}"}}' \
    {query_at} flowmeter.v1.QueryService/QueryTimeSeries

As the operator, who administers all tenants:

  export FLOWMETER_OPERATOR_TOKEN={operator}
  flowmeter --token $FLOWMETER_OPERATOR_TOKEN tenant list
"#,
        operator = installation.operator_token,
    )
}
