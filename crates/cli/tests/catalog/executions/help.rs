//! What the commands about executions say of themselves.

use crate::help;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reporting_is_explained() {
    insta::assert_snapshot!(help(&["executions"]).await, @r"
    Report the API calls of executions and see how they ended

    An execution is a run of a command of an integration, maybe by one of its instances. Its API calls
    are counted by how they ended, as the API execution metrics of Cortex XSOAR have it: Successful,
    GeneralError, AuthError, ServiceError, OutOfQuota or RetryTimeout.

    Reporting needs a token with the scope ingest, the others one with the scope query.

    Usage: flowmeter executions [OPTIONS] <COMMAND>

    Commands:
      report    Report the API calls of one execution by how they ended
      types     Show the calls of each integration by how they ended
      limited   Show one number: the calls that a rate limit refused
      commands  Show the calls of commands by how they ended
      timeline  Show the calls of one instance over time by how they ended
      help      Print this message or the help of the given subcommand(s)

    Options:
      -h, --help
              Print help (see a summary with '-h')
    ");
    insta::assert_snapshot!(help(&["executions", "report"]).await, @r"
        Report the API calls of one execution by how they ended

        Types are Successful, GeneralError, AuthError, ServiceError, OutOfQuota and RetryTimeout.
        QuotaError is taken as OutOfQuota, TimeoutError as RetryTimeout and any other type as
        GeneralError, unless the tenant keeps all types as they are spelled: see `flowmeter tenant
        update`. Counts of one type add up.

        Needs a token with the scope ingest. Exit code 0 if the report was accepted, 3 if it was
        rejected.

        Examples:
          flowmeter executions report --integration VirusTotal Successful=12 QuotaError=3
          flowmeter executions report --integration VirusTotal --instance vt-prod --command ip \
            --timestamp 2026-11-21T09:30:00Z Successful=1
          flowmeter executions report --integration VirusTotal Successful=8 \
            --schedule run-17 --items-remaining 4 --deadline 2026-11-21T09:40:00Z

        Usage: flowmeter executions report [OPTIONS] --integration <NAME> [TYPE=COUNT]...

        Arguments:
          [TYPE=COUNT]...
                  How many calls ended in which way, such as Successful=12 QuotaError=3

        Options:
              --integration <NAME>
                  The integration

              --instance <NAME>
                  The instance of the integration. Default: none

              --command <NAME>
                  The command. Default: none

              --timestamp <TIME>
                  When it was executed, in RFC 3339. Default: now

              --schedule <ID>
                  The id of a schedule by which the command tries again what is left. A later report with
                  the same id updates it. What is left at its deadline counts as RetryTimeout

              --items-remaining <COUNT>
                  How many items are left to be tried again; 0 closes the schedule

              --deadline <TIME>
                  Until when they are tried, in RFC 3339. Needed where items are left

              --request-id <UUID>
                  The id of this report, a UUID of version 7: the same id counts once. Default: a new one

          -h, --help
                  Print help (see a summary with '-h')
        ");
    insta::assert_snapshot!(help(&["tenant", "update"]).await, @r"
    Change a tenant: which types of calls its executions keep

    What was reported before stays as it was counted.

    Examples:
      flowmeter tenant update acme --allow-all-metric-types true

    Usage: flowmeter tenant update [OPTIONS] --allow-all-metric-types <BOOL> <TENANT>

    Arguments:
      <TENANT>
              The id, or the resource name tenants/ID

    Options:
          --allow-all-metric-types <BOOL>
              Whether `flowmeter executions report` keeps other types than the permitted ones as they
              are spelled, each in series of its own, instead of counting them as GeneralError

              [possible values: true, false]

      -h, --help
              Print help (see a summary with '-h')
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_are_explained() {
    insta::assert_snapshot!(help(&["executions", "types"]).await, @r#"
    Show the calls of each integration by how they ended

    Drawn, each integration is a bar, cut by type; types of less than half a column of it are drawn
    together. On a terminal it draws, elsewhere it prints a table; --output table, chart or json
    decides otherwise.

    Examples:
      flowmeter executions types
      flowmeter executions types --range 'from(T-1MD1)' --filter 'type != "Successful"'

    Usage: flowmeter executions types [OPTIONS]

    Options:
          --range <RANGE>
              The time range, as `flowmeter series` takes it, but for last(N). Default: from(T-7D), the
              last 7 days and today

          --filter <FILTER>
              Which of these calls count, as `flowmeter series` takes it, by integration, instance,
              command and type, such as 'integration = "VirusTotal"'. Default: all

          --time-zone <ZONE>
              The time zone on whose clocks days lie, and whose clocks are shown, such as Europe/London.
              Default: UTC

          --after <REQUEST_ID>
              Wait until this request is applied: read your own writes

      -h, --help
              Print help (see a summary with '-h')
    "#);
    insta::assert_snapshot!(help(&["executions", "limited"]).await, @r#"
    Show one number: the calls that a rate limit refused

    These are the calls of type OutOfQuota, which were reported as that or as QuotaError.

    Examples:
      flowmeter executions limited
      flowmeter executions limited --range T --filter 'integration = "VirusTotal"'

    Usage: flowmeter executions limited [OPTIONS]

    Options:
          --range <RANGE>
              The time range, as `flowmeter series` takes it, but for last(N). Default: from(T-7D), the
              last 7 days and today

          --filter <FILTER>
              Which of these calls count, as `flowmeter series` takes it, by integration, instance,
              command and type, such as 'integration = "VirusTotal"'. Default: all

          --time-zone <ZONE>
              The time zone on whose clocks days lie, and whose clocks are shown, such as Europe/London.
              Default: UTC

          --after <REQUEST_ID>
              Wait until this request is applied: read your own writes

      -h, --help
              Print help (see a summary with '-h')
    "#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn narrowed_views_are_explained() {
    insta::assert_snapshot!(help(&["executions", "commands"]).await, @r#"
    Show the calls of commands by how they ended

    Drawn, each command has a bar for each type, all on one scale. On a terminal it draws, elsewhere
    it prints a table; --output table, chart or json decides otherwise.

    Examples:
      flowmeter executions commands
      flowmeter executions commands ip url file --range 'from(T-1D)'

    Usage: flowmeter executions commands [OPTIONS] [COMMAND]...

    Arguments:
      [COMMAND]...
              The commands. Default: all

    Options:
          --range <RANGE>
              The time range, as `flowmeter series` takes it, but for last(N). Default: from(T-7D), the
              last 7 days and today

          --filter <FILTER>
              Which of these calls count, as `flowmeter series` takes it, by integration, instance,
              command and type, such as 'integration = "VirusTotal"'. Default: all

          --time-zone <ZONE>
              The time zone on whose clocks days lie, and whose clocks are shown, such as Europe/London.
              Default: UTC

          --after <REQUEST_ID>
              Wait until this request is applied: read your own writes

      -h, --help
              Print help (see a summary with '-h')
    "#);
    insta::assert_snapshot!(help(&["executions", "timeline"]).await, @r#"
    Show the calls of one instance over time by how they ended

    Drawn, each type is a line of blocks on a scale of its own. On a terminal it draws, elsewhere it
    prints a table; --output table, chart or json decides otherwise. Hours and days without calls
    are left out of tables.

    Examples:
      flowmeter executions timeline --instance vt-prod
      flowmeter executions timeline --instance vt-prod --by day --time-zone Europe/Berlin
      flowmeter executions timeline --instance main --range 'last(24)' --filter 'integration = Slack'

    Usage: flowmeter executions timeline [OPTIONS] --instance <NAME>

    Options:
          --instance <NAME>
              The instance. Those of several integrations may have one name: --filter tells them apart

          --by <BY>
              What has a point of its own

              Possible values:
              - hour: A point for each hour, usually of the last 3 hours
              - day:  A point for each day, usually of the last 7 days

              [default: hour]

          --range <RANGE>
              The time range, as `flowmeter series` takes it. Default: last(3) by hour and last(7) by
              day

          --filter <FILTER>
              Which of these calls count, as `flowmeter series` takes it, by integration, instance,
              command and type, such as 'integration = "VirusTotal"'. Default: all

          --time-zone <ZONE>
              The time zone on whose clocks days lie, and whose clocks are shown, such as Europe/London.
              Default: UTC

          --after <REQUEST_ID>
              Wait until this request is applied: read your own writes

      -h, --help
              Print help (see a summary with '-h')
    "#);
}
