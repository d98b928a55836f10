//! What the commands about assets say of themselves.

use crate::help;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emitting_is_explained() {
    insta::assert_snapshot!(help(&["asset"]).await, @r"
    Emit metrics of assets and read them back

    An asset is anything that has a URN: a database, a table, a report. Its metrics are those of the
    Semarchy xDG API: texts, numbers and booleans under a name, each at some time. Metrics of one asset
    and time merge by name, and the newest request wins.

    Emitting needs a token with the scope ingest, the others one with the scope query.

    Usage: flowmeter asset [OPTIONS] <COMMAND>

    Commands:
      emit    Emit metrics of an asset, or of many from a file
      show    Show the metrics of an asset in a range of time, the oldest first
      latest  Show the current value of each metric of an asset: the one with the latest time
      list    List the assets that metrics were emitted on, by URN
      help    Print this message or the help of the given subcommand(s)

    Options:
      -h, --help
              Print help (see a summary with '-h')
    ");
    insta::assert_snapshot!(help(&["asset", "emit"]).await, @r#"
    Emit metrics of an asset, or of many from a file

    A value that is a number in JSON's notation is a number, true or false is a boolean, and anything
    else is a text: 0.93 is a number, 007 a text. --type says otherwise. Numbers are kept exactly, up
    to 28 significant digits.

    Metrics of one asset and time merge by name, and the newest request wins. An asset needs no
    registration: it is there with its first metric.

    A file holds JSON documents, one after the other or in an array:
      {"assetUrn": "urn:a", "timestamp": "2026-11-21T09:30:00Z",
       "metrics": [{"name": "qualityScore", "value": 0.93, "valueType": "NUMBER"}]}
    Those without an assetUrn are of the URN before --file; timestamp and valueType may be left out.
    What `asset emit` and `asset show` print as JSON can be emitted so as well.
    If one cannot be read, or has a metric of the asset and time of another, nothing is sent. They are
    sent in requests of up to 1000 metrics; JSON of several requests is one answer after the other.

    Needs a token with the scope ingest. Exit code 0 if all was accepted, 3 if documents of a file were
    rejected.

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
              The metrics, each name once. Names in camel case are the custom

    Options:
          --type <NAME=TYPE>
              What a value is: string, number or boolean. May be repeated

          --timestamp <TIME>
              When the values were so, in RFC 3339. Default: now

          --single
              Send one metric in the single form, which is deprecated: its value goes out as a text, and
              the service says what it took it for

          --file <FILE>
              Read documents from a file, or from standard input with -

          --request-id <UUID>
              The id of the request, a UUID of version 7: the same id counts once. Default: a new one

      -h, --help
              Print help (see a summary with '-h')
    "#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_is_explained() {
    insta::assert_snapshot!(help(&["asset", "show"]).await, @r"
    Show the metrics of an asset in a range of time, the oldest first

    Each time has a row for each of its metrics. One metric that is a number is drawn where one is
    asked for by its name: on a terminal, or with --output chart. Long texts are cut short; --output
    json has them whole.

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
              The first time, in RFC 3339, or a day in UTC. Default: from the first one on

          --to <TIME>
              The last time, in RFC 3339, or a day in UTC; it belongs to the range as well. Default:
              now; a value of a time that is still to come is shown where this lies beyond it

          --name <NAME>
              Only the metric of this name. May be repeated. Default: all

          --limit <NUMBER>
              How many times to show at most

              [default: 100]

          --all
              Show all there are

          --after <REQUEST_ID>
              Wait until this request is applied: read your own writes

      -h, --help
              Print help (see a summary with '-h')
    ");
    insta::assert_snapshot!(help(&["asset", "latest"]).await, @r"
    Show the current value of each metric of an asset: the one with the latest time

    Examples:
      flowmeter asset latest urn:xdg:database:crm
      flowmeter asset latest urn:xdg:database:crm --name qualityScore --name owner

    Usage: flowmeter asset latest [OPTIONS] <URN>

    Arguments:
      <URN>
              The URN of the asset

    Options:
          --name <NAME>
              Only the metric of this name. May be repeated. Default: all

          --after <REQUEST_ID>
              Wait until this request is applied: read your own writes

      -h, --help
              Print help (see a summary with '-h')
    ");
    insta::assert_snapshot!(help(&["asset", "list"]).await, @r"
    List the assets that metrics were emitted on, by URN

    Examples:
      flowmeter asset list
      flowmeter asset list urn:xdg:database: --all

    Usage: flowmeter asset list [OPTIONS] [PREFIX]

    Arguments:
      [PREFIX]
              Only assets whose URN begins with this text. Default: all

    Options:
          --limit <NUMBER>
              How many assets to show at most

              [default: 100]

          --all
              Show all there are

          --after <REQUEST_ID>
              Wait until this request is applied: read your own writes

      -h, --help
              Print help (see a summary with '-h')
    ");
}
