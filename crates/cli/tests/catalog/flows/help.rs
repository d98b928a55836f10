//! What the commands about flows say of themselves.

use crate::help;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defining_flows_is_explained() {
    insta::assert_snapshot!(help(&["flow"]).await, @r"
    Register flows, record the requests to their endpoints and see how these went

    A flow has an endpoint that is called with data. Its metrics are those of the WhatsApp Flows Metrics
    API: requests, errors, error rate, latency and availability.

    Reading definitions needs a token with the scope query or catalog, changing them one with the scope
    catalog, recording one with ingest and reading metrics one with query.

    Usage: flowmeter flow [OPTIONS] <COMMAND>

    Commands:
      list    List the flows by id
      get     Show a flow and, where the token may read its metrics, how it does [alias: show]
      create  Register a flow
      update  Change a flow. What is not given stays as it is
      delete  Delete a flow: it is no longer checked, and its requests are rejected,
              everywhere within 30 s. Does not ask
      record  Record requests to the endpoint of a flow: one, or several that are alike
      metric  Show how the requests to the endpoint of a flow went, and whether it was there
      help    Print this message or the help of the given subcommand(s)

    Options:
      -h, --help
              Print help (see a summary with '-h')
    ");
    insta::assert_snapshot!(help(&["flow", "create"]).await, @r"
    Register a flow

    With an endpoint URL and a data API version of 3.0 or later the endpoint is checked
    periodically: that is its availability. A deleted flow that is registered again goes on with
    its history.

    Examples:
      flowmeter flow create signup
      flowmeter flow create 1234567890 --name 'Sign up' --endpoint-url https://example.com/flow \
        --data-api-version 3.0 --time-zone America/Los_Angeles --check-interval 30s

    Usage: flowmeter flow create [OPTIONS] <ID>

    Arguments:
      <ID>
              The id, by which requests name it: 1 to 128 bytes without control characters

    Options:
          --name <NAME>
              The name to show to people

          --endpoint-url <URL>
              Where its requests go, an http or https URL. Default: none, and then it is not checked

          --data-api-version <VERSION>
              The version of the data API that the endpoint speaks, such as 3.0; from 3.0 on it is
              checked. Default: none, and then it is not checked

          --time-zone <ZONE>
              The time zone on whose clocks its days and hours lie, such as America/Los_Angeles.
              Default: UTC

          --check-interval <DURATION>
              How often the endpoint is checked, such as 30s, from 1s to 24h; or default, which is up to
              the worker

      -h, --help
              Print help (see a summary with '-h')
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recording_and_reading_are_explained() {
    insta::assert_snapshot!(help(&["flow", "record"]).await, @r"
    Record requests to the endpoint of a flow: one, or several that are alike

    Needs a token with the scope ingest. Exit code 0 if they were accepted, 3 if they were
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
              What became of them

              Possible values:
              - succeeded:                   The endpoint answered as it should. Shortly: ok
              - timeout_error:               It took too long. Shortly: timeout
              - unexpected_http_status_code: The endpoint answered with an error. Shortly: http-status
              - cannot_be_served:            It was not made, as the flow cannot be served. Shortly:
                not-served
              - no_http_response_error:      There was no answer. Shortly: no-response

          --latency <DURATION>
              How long it took until the answer or the failure, such as 1.2s. Default: not known, and
              then they do not count in the latency

          --count <NUMBER>
              How many they are, at most 100000000

              [default: 1]

          --timestamp <TIME>
              When they were made, in RFC 3339. Default: now

          --request-id <UUID>
              The id of this report, a UUID of version 7: the same id counts once. Default: a new one

      -h, --help
              Print help (see a summary with '-h')
    ");
    insta::assert_snapshot!(help(&["flow", "metric"]).await, @r"
    Show how the requests to the endpoint of a flow went, and whether it was there

    Without a metric: all five, as a dashboard. Needs a token with the scope query, and a flow
    that has had requests enough: 250 since it was registered, unless the service is set to another
    number.

    On a terminal it draws, elsewhere it prints a table with a row for each day or hour; --output
    table, chart or json decides otherwise. JSON of all metrics is one of them a line. Days and
    hours are those of the flow's time zone, and those without data are left out of tables.

    Latencies are seconds, rounded up: 3 is from more than 2 up to 3 s, 10+ more than 10 s. So p95
    ≤ 3 s says that 95 % of the requests took 3 s or less.

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
              The metric, also by its name in the API such as ENDPOINT_REQUEST_COUNT. Default: all

              Possible values:
              - requests:     ENDPOINT_REQUEST_COUNT: the requests
              - errors:       ENDPOINT_REQUEST_ERROR: the failed ones by what happened
              - error-rate:   ENDPOINT_REQUEST_ERROR_RATE: the failed ones by all
              - latency:      ENDPOINT_REQUEST_LATENCY_SECONDS_CEIL: the requests by seconds, rounded up
              - availability: ENDPOINT_AVAILABILITY: the checks of the endpoint by their result

    Options:
          --granularity <GRANULARITY>
              What has a point of its own

              Possible values:
              - day:      A point for each day, of at most 90 days back
              - hour:     A point for each hour, of at most 30 days back
              - lifetime: One point for all of the period

              [default: day]

          --since <DAY>
              The first day, such as 2026-11-01. Default: the oldest that can be asked for; of the
              lifetime the day on which the flow was registered, or of an earlier request

          --until <DAY>
              The day before which it ends, such as 2026-11-08. Default: it ends now

          --after <REQUEST_ID>
              Wait until this request is applied: read your own writes

      -h, --help
              Print help (see a summary with '-h')
    ");
}
