//! The help of the commands for flows.

use crate::help;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_help_explains_how_to_define_flows() {
    insta::assert_snapshot!(help(&["flow"]).await, @r"
    Register flows, record the requests to their endpoints and read their metrics

    A flow has an endpoint that is called with data. Its metrics are those of the WhatsApp Flows Metrics
    API: requests, errors, error rate, latency and availability.

    Reading definitions needs a token with the scope query or catalog, changing them the scope catalog,
    recording the scope ingest, and reading metrics the scope query.

    Usage: flowmeter flow [OPTIONS] <COMMAND>

    Commands:
      list    List the flows by id
      get     Show a flow and, if the token has the scope query, a summary of its metrics [alias: show]
      create  Register a flow
      update  Change a flow. Options that are not given stay unchanged
      delete  Delete a flow: within 30 s, it is no longer checked and its requests are rejected
      record  Record one request to the endpoint of a flow, or several with the same outcome
      metric  Show the metrics of a flow: requests, errors, error rate, latency and availability
      help    Print this message or the help of the given subcommand(s)

    Options:
      -h, --help
              Print help (see a summary with '-h')
    ");
    insta::assert_snapshot!(help(&["flow", "create"]).await, @r"
    Register a flow

    If the flow has an endpoint URL and a data API version of 3.0 or later, the endpoint is
    checked periodically; the results are its availability. A deleted flow that is registered
    again keeps its history.

    Examples:
      flowmeter flow create signup
      flowmeter flow create 1234567890 --name 'Sign up' --endpoint-url https://example.com/flow \
        --data-api-version 3.0 --time-zone America/Los_Angeles --check-interval 30s

    Usage: flowmeter flow create [OPTIONS] <ID>

    Arguments:
      <ID>
              The id: 1 to 128 bytes without control characters

    Options:
          --name <NAME>
              The display name

          --endpoint-url <URL>
              The http or https URL of the endpoint. Default: none, which means no checks

          --data-api-version <VERSION>
              The version of the data API that the endpoint speaks, such as 3.0. Endpoints of version
              3.0 or later are checked. Default: none, which means no checks

          --time-zone <ZONE>
              The time zone of the days and hours of its metrics, such as America/Los_Angeles. Default:
              UTC

          --check-interval <DURATION>
              How often to check the endpoint, from 1s to 24h, such as 30s; or default for the setting
              of the worker

      -h, --help
              Print help (see a summary with '-h')
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_help_explains_how_to_record_and_read() {
    insta::assert_snapshot!(help(&["flow", "record"]).await, @r"
    Record one request to the endpoint of a flow, or several with the same outcome

    Needs a token with the scope ingest. Exit codes: 0 the requests were accepted; 3 they were
    rejected.

    Examples:
      flowmeter flow record signup --outcome succeeded --latency 1.2s
      flowmeter flow record signup --outcome succeeded --latency 800ms --count 300
      flowmeter flow record signup --outcome timeout --latency 10s --timestamp 2026-11-21T09:30:00Z

    Usage: flowmeter flow record [OPTIONS] --outcome <OUTCOME> <ID>

    Arguments:
      <ID>
              The id of the flow

    Options:
          --outcome <OUTCOME>
              The outcome of the requests

              Possible values:
              - succeeded:                   The endpoint answered as expected. Short form: ok
              - timeout_error:               The request timed out. Short form: timeout
              - unexpected_http_status_code: The endpoint answered with an error status. Short form:
                http-status
              - cannot_be_served:            The request was not made, because the flow cannot be
                served. Short form: not-served
              - no_http_response_error:      The endpoint did not answer. Short form: no-response

          --latency <DURATION>
              The time until the response or the failure, such as 1.2s. Default: unknown, and the
              requests do not count in the latency metric

          --count <NUMBER>
              The number of requests, at most 100000000

              [default: 1]

          --timestamp <TIME>
              The time of the requests, in RFC 3339. Default: now

          --request-id <UUID>
              The request id, a version 7 UUID. A request that is sent again with the same id counts
              once. Default: a new id

      -h, --help
              Print help (see a summary with '-h')
    ");
    insta::assert_snapshot!(help(&["flow", "metric"]).await, @r"
    Show the metrics of a flow: requests, errors, error rate, latency and availability

    Shows all five metrics as a dashboard, or one of them. Needs a token with the scope query. The
    flow needs at least 250 requests since it was registered, unless the service is configured
    with another minimum.

    The output is a chart on a terminal, and elsewhere a table with a row for each day or hour;
    --output overrides this. JSON of all metrics has one metric per line. Days and hours are in
    the flow's time zone, and tables leave out those without data.

    Latencies are in seconds, rounded up: 3 means more than 2 and up to 3 s, 10+ more than 10 s.
    So p95 ≤ 3 s means that 95 % of the requests took 3 s or less.

    Examples:
      flowmeter flow metric signup
      flowmeter flow metric signup --granularity hour --since 2026-11-21
      flowmeter flow metric signup errors --since 2026-11-01 --until 2026-11-08
      flowmeter flow metric signup ENDPOINT_AVAILABILITY --granularity lifetime --output json

    Usage: flowmeter flow metric [OPTIONS] <ID> [NAME]

    Arguments:
      <ID>
              The id of the flow

      [NAME]
              The metric, or its name in the API such as ENDPOINT_REQUEST_COUNT. Default: all

              Possible values:
              - requests:     ENDPOINT_REQUEST_COUNT: the number of requests
              - errors:       ENDPOINT_REQUEST_ERROR: the failed requests by error
              - error-rate:   ENDPOINT_REQUEST_ERROR_RATE: the share of failed requests
              - latency:      ENDPOINT_REQUEST_LATENCY_SECONDS_CEIL: the requests by latency in seconds,
                rounded up
              - availability: ENDPOINT_AVAILABILITY: the checks of the endpoint by result

    Options:
          --granularity <GRANULARITY>
              The length of a point

              Possible values:
              - day:      One day, up to 90 days back
              - hour:     One hour, up to 30 days back
              - lifetime: The whole period as one point

              [default: day]

          --since <DAY>
              The first day, such as 2026-11-01. Default: the oldest day available; for lifetime, the
              day of the flow's registration or of its first request

          --until <DAY>
              The day after the last one, such as 2026-11-08. Default: up to now

          --after <REQUEST_ID>
              Wait until this request is applied, so that the answer includes it

      -h, --help
              Print help (see a summary with '-h')
    ");
}
