//! The help of the commands for executions.

use crate::help;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_help_explains_how_to_report() {
    insta::assert_snapshot!(help(&["executions"]).await, @r"
    Report the API calls of executions and read their results

    An execution is a run of a command of an integration, by one of its instances if there are several.
    Its API calls are counted by type, which is their result, as in the API execution metrics of Cortex
    XSOAR: Successful, GeneralError, AuthError, ServiceError, OutOfQuota or RetryTimeout.

    Reporting needs a token with the scope ingest, reading the scope query.

    Usage: flowmeter executions [OPTIONS] <COMMAND>

    Commands:
      report    Report the API calls of one execution by type
      types     Show the calls of each integration by type
      limited   Show the number of calls that a rate limit refused
      commands  Show the calls of each command by type
      timeline  Show the calls of one instance over time by type
      help      Print this message or the help of the given subcommand(s)

    Options:
      -h, --help
              Print help (see a summary with '-h')
    ");
    insta::assert_snapshot!(help(&["executions", "report"]).await, @r"
    Report the API calls of one execution by type

    Types are Successful, GeneralError, AuthError, ServiceError, OutOfQuota and RetryTimeout.
    QuotaError counts as OutOfQuota, TimeoutError as RetryTimeout, and any other type as
    GeneralError, unless the tenant allows all types: see `flowmeter tenant update`. Counts of one
    type are added up.

    Needs a token with the scope ingest. Exit codes: 0 the report was accepted; 3 it was rejected.

    Examples:
      flowmeter executions report --integration VirusTotal Successful=12 QuotaError=3
      flowmeter executions report --integration VirusTotal --instance vt-prod --command ip \
        --timestamp 2026-11-21T09:30:00Z Successful=1
      flowmeter executions report --integration VirusTotal Successful=8 \
        --schedule run-17 --items-remaining 4 --deadline 2026-11-21T09:40:00Z

    Usage: flowmeter executions report [OPTIONS] --integration <NAME> [TYPE=COUNT]...

    Arguments:
      [TYPE=COUNT]...
              The number of calls of each type, such as Successful=12 QuotaError=3

    Options:
          --integration <NAME>
              The integration

          --instance <NAME>
              The instance of the integration. Default: none

          --command <NAME>
              The command. Default: none

          --timestamp <TIME>
              The time of the execution, in RFC 3339. Default: now

          --schedule <ID>
              The id of the schedule on which the command retries the remaining items. A later report
              with the same id updates the schedule. Items that remain at its deadline count as
              RetryTimeout

          --items-remaining <COUNT>
              The number of items that remain to be retried; 0 closes the schedule

          --deadline <TIME>
              The time until which items are retried, in RFC 3339. Required if items remain

          --request-id <UUID>
              The request id, a version 7 UUID. A report that is sent again with the same id counts
              once. Default: a new id

      -h, --help
              Print help (see a summary with '-h')
    ");
    insta::assert_snapshot!(help(&["tenant", "update"]).await, @r"
    Change which metric types of executions a tenant keeps

    The change applies to new reports only.

    Examples:
      flowmeter tenant update acme --allow-all-metric-types true

    Usage: flowmeter tenant update [OPTIONS] --allow-all-metric-types <BOOL> <TENANT>

    Arguments:
      <TENANT>
              The id, or the resource name tenants/ID

    Options:
          --allow-all-metric-types <BOOL>
              Whether to keep types other than the six standard ones as separate types, instead of
              counting them as GeneralError

              [possible values: true, false]

      -h, --help
              Print help (see a summary with '-h')
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_help_explains_views_without_arguments() {
    insta::assert_snapshot!(help(&["executions", "types"]).await, @r#"
    Show the calls of each integration by type

    The output is a chart on a terminal and a table elsewhere; --output overrides this. In the
    chart, each integration is a bar with a part for each type; the smallest types share a part.

    Examples:
      flowmeter executions types
      flowmeter executions types --range 'from(T-1MD1)' --filter 'type != "Successful"'

    Usage: flowmeter executions types [OPTIONS]

    Options:
          --range <RANGE>
              The time range, as in `flowmeter series` except last(N). Default: from(T-7D), the last 7
              days and today

          --filter <FILTER>
              A filter on calls by integration, instance, command and type, as in `flowmeter series`,
              such as 'integration = "VirusTotal"'. Default: all calls

          --time-zone <ZONE>
              The time zone of days and of the output, such as Europe/London. Default: UTC

          --after <REQUEST_ID>
              Wait until this request is applied, so that the answer includes it

      -h, --help
              Print help (see a summary with '-h')
    "#);
    insta::assert_snapshot!(help(&["executions", "limited"]).await, @r#"
    Show the number of calls that a rate limit refused

    These are the calls of type OutOfQuota, which were reported as OutOfQuota or QuotaError.

    Examples:
      flowmeter executions limited
      flowmeter executions limited --range T --filter 'integration = "VirusTotal"'

    Usage: flowmeter executions limited [OPTIONS]

    Options:
          --range <RANGE>
              The time range, as in `flowmeter series` except last(N). Default: from(T-7D), the last 7
              days and today

          --filter <FILTER>
              A filter on calls by integration, instance, command and type, as in `flowmeter series`,
              such as 'integration = "VirusTotal"'. Default: all calls

          --time-zone <ZONE>
              The time zone of days and of the output, such as Europe/London. Default: UTC

          --after <REQUEST_ID>
              Wait until this request is applied, so that the answer includes it

      -h, --help
              Print help (see a summary with '-h')
    "#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_help_explains_views_with_arguments() {
    insta::assert_snapshot!(help(&["executions", "commands"]).await, @r#"
    Show the calls of each command by type

    The output is a chart on a terminal and a table elsewhere; --output overrides this. In the
    chart, each command has a bar for each type, all on one scale.

    Examples:
      flowmeter executions commands
      flowmeter executions commands ip url file --range 'from(T-1D)'

    Usage: flowmeter executions commands [OPTIONS] [COMMAND]...

    Arguments:
      [COMMAND]...
              The commands. Default: all

    Options:
          --range <RANGE>
              The time range, as in `flowmeter series` except last(N). Default: from(T-7D), the last 7
              days and today

          --filter <FILTER>
              A filter on calls by integration, instance, command and type, as in `flowmeter series`,
              such as 'integration = "VirusTotal"'. Default: all calls

          --time-zone <ZONE>
              The time zone of days and of the output, such as Europe/London. Default: UTC

          --after <REQUEST_ID>
              Wait until this request is applied, so that the answer includes it

      -h, --help
              Print help (see a summary with '-h')
    "#);
    insta::assert_snapshot!(help(&["executions", "timeline"]).await, @r#"
    Show the calls of one instance over time by type

    The output is a chart on a terminal and a table elsewhere; --output overrides this. In the
    chart, each type is a sparkline with its own scale. Tables leave out hours and days without
    calls.

    Examples:
      flowmeter executions timeline --instance vt-prod
      flowmeter executions timeline --instance vt-prod --by day --time-zone Europe/Berlin
      flowmeter executions timeline --instance main --range 'last(24)' --filter 'integration = Slack'

    Usage: flowmeter executions timeline [OPTIONS] --instance <NAME>

    Options:
          --instance <NAME>
              The instance. If instances of several integrations have this name, use --filter to select
              one integration

          --by <BY>
              The length of a point

              Possible values:
              - hour: One hour; the default range is the last 3 hours
              - day:  One day; the default range is the last 7 days

              [default: hour]

          --range <RANGE>
              The time range, as in `flowmeter series`. Default: last(3) by hour and last(7) by day

          --filter <FILTER>
              A filter on calls by integration, instance, command and type, as in `flowmeter series`,
              such as 'integration = "VirusTotal"'. Default: all calls

          --time-zone <ZONE>
              The time zone of days and of the output, such as Europe/London. Default: UTC

          --after <REQUEST_ID>
              Wait until this request is applied, so that the answer includes it

      -h, --help
              Print help (see a summary with '-h')
    "#);
}
