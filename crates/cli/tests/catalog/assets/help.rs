//! The help of the commands for assets.

use crate::help;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_help_explains_how_to_emit_metrics() {
    insta::assert_snapshot!(help(&["asset"]).await, @r"
    Emit metrics of assets and read them back

    An asset is anything that has a URN: a database, a table, a report. Its metrics are those of the
    Semarchy xDG API: strings, numbers and booleans, each with a name and a time. Metrics of one asset
    and time are merged by name, and the newest request wins.

    Emitting needs a token with the scope ingest, reading the scope query.

    Usage: flowmeter asset [OPTIONS] <COMMAND>

    Commands:
      emit    Emit metrics of one asset, or of many assets from a file
      show    Show the metrics of an asset in a time range, the oldest first
      latest  Show the current value of each metric of an asset, which is the one with the latest time
      list    List the assets that have metrics, by URN
      help    Print this message or the help of the given subcommand(s)

    Options:
      -h, --help
              Print help (see a summary with '-h')
    ");
    insta::assert_snapshot!(help(&["asset", "emit"]).await, @r#"
    Emit metrics of one asset, or of many assets from a file

    A value in JSON number notation is a number, true or false is a boolean, and anything else is a
    string: 0.93 is a number, 007 a string. --type overrides this. Numbers are exact, with up to 28
    significant digits.

    Metrics of one asset and time are merged by name, and the newest request wins. An asset needs no
    registration: its first metric creates it.

    A file contains JSON documents, one after the other or in an array:
      {"assetUrn": "urn:a", "timestamp": "2026-11-21T09:30:00Z",
       "metrics": [{"name": "qualityScore", "value": 0.93, "valueType": "NUMBER"}]}
    Documents without an assetUrn use the URN before --file. timestamp and valueType are optional.
    The JSON output of `asset emit` and `asset show` is accepted, too.
    If a document cannot be read, or repeats a metric of the same asset and time, nothing is sent.
    The documents are sent in requests of up to 1000 metrics; --output json prints one response per
    request.

    Needs a token with the scope ingest. Exit codes: 0 everything was accepted; 3 documents of a
    file were rejected.

    Examples:
      flowmeter asset emit urn:xdg:database:crm qualityScore=0.93 isActive=true owner='Ada L.'
      flowmeter asset emit urn:xdg:database:crm release=1.10 --type release=string
      flowmeter asset emit urn:xdg:database:crm rowCount=1200 --timestamp 2026-11-21T09:30:00Z
      flowmeter asset emit --file metrics.jsonl
      flowmeter asset emit urn:xdg:database:crm --file - < metrics.json

    Usage: flowmeter asset emit [OPTIONS] <URN> <NAME=VALUE>...
           flowmeter asset emit [OPTIONS] --file <FILE> [URN]

    Arguments:
      [URN]
              The URN of the asset: 1 to 512 bytes without control characters

      [NAME=VALUE]...
              The metrics, each name once. Names are usually in camelCase

    Options:
          --type <NAME=TYPE>
              The type of a value: string, number or boolean. May be repeated

          --timestamp <TIME>
              The time of the values, in RFC 3339. Default: now

          --single
              Send one metric in the deprecated single form: the value is sent as a string, and the
              service infers its type

          --file <FILE>
              Read documents from a file, or from standard input with -

          --request-id <UUID>
              The request id, a version 7 UUID. A request that is sent again with the same id counts
              once. Default: a new id

      -h, --help
              Print help (see a summary with '-h')
    "#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_help_explains_how_to_read_metrics() {
    insta::assert_snapshot!(help(&["asset", "show"]).await, @r"
    Show the metrics of an asset in a time range, the oldest first

    The table has a row for each time and metric, and shortens long texts; --output json does not.
    A single numeric metric, selected by --name, is drawn as a chart on a terminal or with --output
    chart.

    Examples:
      flowmeter asset show urn:xdg:database:crm
      flowmeter asset show urn:xdg:database:crm --from 2026-11-01 --to 2026-11-21T09:30:00Z
      flowmeter asset show urn:xdg:database:crm --name qualityScore --all --output chart

    Usage: flowmeter asset show [OPTIONS] <URN>

    Arguments:
      <URN>
              The URN of the asset

    Options:
          --from <TIME>
              The first time, in RFC 3339, or a day in UTC. Default: the first time of the asset

          --to <TIME>
              The last time, inclusive, in RFC 3339, or a day in UTC. Default: now

          --name <NAME>
              Only the metric with this name. May be repeated. Default: all

          --limit <NUMBER>
              Maximum number of times to show

              [default: 100]

          --all
              Show all

          --after <REQUEST_ID>
              Wait until this request is applied, so that the answer includes it

      -h, --help
              Print help (see a summary with '-h')
    ");
    insta::assert_snapshot!(help(&["asset", "latest"]).await, @r"
    Show the current value of each metric of an asset, which is the one with the latest time

    Examples:
      flowmeter asset latest urn:xdg:database:crm
      flowmeter asset latest urn:xdg:database:crm --name qualityScore --name owner

    Usage: flowmeter asset latest [OPTIONS] <URN>

    Arguments:
      <URN>
              The URN of the asset

    Options:
          --name <NAME>
              Only the metric with this name. May be repeated. Default: all

          --after <REQUEST_ID>
              Wait until this request is applied, so that the answer includes it

      -h, --help
              Print help (see a summary with '-h')
    ");
    insta::assert_snapshot!(help(&["asset", "list"]).await, @r"
    List the assets that have metrics, by URN

    Examples:
      flowmeter asset list
      flowmeter asset list urn:xdg:database: --all

    Usage: flowmeter asset list [OPTIONS] [PREFIX]

    Arguments:
      [PREFIX]
              Only assets whose URN has this prefix. Default: all

    Options:
          --limit <NUMBER>
              Maximum number of assets to show

              [default: 100]

          --all
              Show all

          --after <REQUEST_ID>
              Wait until this request is applied, so that the answer includes it

      -h, --help
              Print help (see a summary with '-h')
    ");
}
