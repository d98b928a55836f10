//! Runs the program as a process.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;

/// The result of a run.
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs the program against the services at a URL, with this input through a pipe.
pub async fn flowmeter(url: &str, token: &str, arguments: &[&str], input: &[u8]) -> Ended {
    let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_flowmeter"))
        .args(arguments)
        .env_clear()
        .env("FLOWMETER_TOKEN", token)
        .env("FLOWMETER_INGEST_URL", url)
        .env("FLOWMETER_QUERY_URL", url)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = program.stdin.take().unwrap();
    let write = async {
        // A program that fails can leave input unread.
        let _ = pipe.write_all(input).await;
        drop(pipe);
    };
    let (output, ()) = tokio::join!(program.wait_with_output(), write);
    let output = output.unwrap();
    Ended {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
