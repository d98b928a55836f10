//! The private servers start, survive being killed, and leave nothing behind, however their owner ends.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flowmeter_stack::{Progress, Servers, Signal, StackDir, signal_process, usage};

/// Tells the owner process, which is this test program once more, where to start its servers.
const DIRECTORY: &str = "FLOWMETER_STACK_TEST_DIRECTORY";

fn start(path: &Path) -> Servers {
    Servers::start(path, false, &Progress::quiet()).expect("the servers start")
}

/// All processes below this one: both servers and Erlang's port mapper, with their children.
fn family() -> Vec<u32> {
    usage::tree(std::process::id()).split_off(1)
}

/// Those that have not ended within a few seconds.
fn left_of(family: &[u32]) -> Vec<u32> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let runs = |pid: &u32| Path::new(&format!("/proc/{pid}")).exists();
        let left: Vec<u32> = family.iter().copied().filter(runs).collect();
        if left.is_empty() || Instant::now() > deadline {
            return left;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Not a test by itself: what the test below kills.
#[test]
fn owner() {
    let Some(path) = std::env::var_os(DIRECTORY) else { return };
    let _servers = start(Path::new(&path));
    println!("\nfamily {:?}", family());
    std::thread::sleep(Duration::from_mins(5));
}

/// Starts servers in a process of their own, kills it with -9, and returns the processes there were.
fn start_and_kill_the_owner(path: &Path) -> Vec<u32> {
    let mut owner = Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["--exact", "owner", "--nocapture"])
        .env(DIRECTORY, path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program can be run");
    let output = owner.stdout.take().expect("its output is piped");
    let lines = BufReader::new(output).lines().map_while(Result::ok);
    let line = lines.into_iter().find(|line| line.starts_with("family")).expect("the owner starts servers");
    owner.kill().and_then(|()| owner.wait()).expect("it can be killed");
    line.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

#[test]
fn servers_outlive_kills_and_nothing_outlives_their_owner() {
    if std::env::var_os("DATABASE_URL").is_some() || std::env::var_os("AMQP_URL").is_some() {
        return; // These servers are not ours to kill.
    }
    let path: PathBuf =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("servers-{}", std::process::id()));

    let killed = start_and_kill_the_owner(&path);
    assert!(killed.len() > 5, "the servers have children: {killed:?}");
    assert_eq!(left_of(&killed), Vec::<u32>::new(), "left after a kill -9 of the owner");
    assert_eq!(StackDir::owner(&path).unwrap(), None);

    // From the data that the killed servers left.
    let mut servers = start(&path);
    assert!(servers.postgres.usage().unwrap().peak_rss_bytes > 0);
    let before = family();
    let url = servers.postgres.url().to_owned();
    servers.postgres.kill9().unwrap();
    servers.postgres.start_again().unwrap();
    assert_eq!(servers.postgres.url(), url);
    assert_eq!(servers.failure().unwrap(), None);
    let after = family();

    // A server that dies by itself is noticed.
    signal_process(servers.postgres.pid().unwrap(), Signal::KILL).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    let failure = loop {
        if let Some(failure) = servers.failure().unwrap() {
            break failure;
        }
        assert!(Instant::now() < deadline, "a dead server is noticed");
    };
    assert!(failure.contains("signal 9"), "{failure}");

    servers.postgres.stop().unwrap();
    assert!(servers.rabbit.stop().unwrap().unwrap().is_clean());
    drop(servers);
    assert_eq!(left_of(&[before, after].concat()), Vec::<u32>::new(), "left after an orderly stop");
    std::fs::remove_dir_all(&path).unwrap();
}
