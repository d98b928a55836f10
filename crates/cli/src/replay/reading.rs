//! Reads and parses a log in chunks on its own thread, so that parsing continues while batches are sent.

use std::{
    fs::File,
    io::{BufReader, Read, Seek},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use flowmeter_proto::v1::UsageEvent;
use jiff::SignedDuration;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    Malformed, Parser,
    lines::{Line, Lines},
    shift::shift,
};

/// Maximum number of lines in a chunk.
const CHUNK_LINES: u64 = 1000;

/// Maximum number of chunks read ahead.
const CHUNKS_AHEAD: usize = 4;

/// The size of the read buffer. A pipe returns at most 64 KiB at a time, a file fills the buffer.
const BUFFER_BYTES: usize = 256 * 1024;

/// Some parsed lines of a log.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// The events with the numbers of their lines.
    pub(crate) events: Vec<(u64, UsageEvent)>,
    /// The malformed lines with their numbers.
    pub(crate) malformed: Vec<(u64, Malformed)>,
    /// The number of lines that were read.
    pub(crate) lines: u64,
    /// The number of lines that were skipped.
    pub(crate) skipped: u64,
    /// The position in the log, in bytes.
    pub(crate) position: u64,
}

/// The source of a log.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// Standard input.
    Stdin,
    /// A path: a regular file, or one that can be read only once, such as a named pipe.
    File(PathBuf),
    /// A copy of another source in an unnamed file, and the name of that source.
    Kept(Arc<File>, String),
}

impl Source {
    /// Standard input for `-`, otherwise a file.
    pub(crate) fn new(path: &Path) -> Self {
        if path.as_os_str() == "-" { Self::Stdin } else { Self::File(path.to_owned()) }
    }

    /// The name to show.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".into(),
            Self::File(path) => path.display().to_string(),
            Self::Kept(_, name) => name.clone(),
        }
    }

    /// The size in bytes, if it is known. A log of known size can be read twice.
    pub(crate) fn size(&self) -> Option<u64> {
        let metadata = match self {
            Self::Stdin => None,
            Self::File(path) => std::fs::metadata(path).ok(),
            Self::Kept(file, _) => file.metadata().ok(),
        };
        metadata.filter(std::fs::Metadata::is_file).map(|file| file.len())
    }

    /// A source that can be read twice: this one, or a copy of it in a file.
    pub(crate) fn kept(self) -> Result<Self> {
        if self.size().is_some() {
            return Ok(self);
        }
        let path = std::env::temp_dir().join(format!("flowmeter-{}", Uuid::new_v4()));
        let mut file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        // The unlinked file is freed when this process ends, however it ends.
        std::fs::remove_file(&path)?;
        std::io::copy(&mut self.reader()?, &mut file)?;
        Ok(Self::Kept(Arc::new(file), self.name()))
    }

    /// The contents, from the beginning.
    pub(crate) fn reader(&self) -> Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Stdin => Box::new(std::io::stdin()),
            Self::File(path) => {
                Box::new(File::open(path).with_context(|| format!("cannot read {}", path.display()))?)
            }
            Self::Kept(file, _) => {
                let mut file = file.try_clone()?;
                file.rewind()?;
                Box::new(file)
            }
        })
    }

    /// Opens the log.
    pub(crate) fn open(&self) -> Result<Lines<BufReader<Box<dyn Read + Send>>>> {
        Ok(Lines::new(BufReader::with_capacity(BUFFER_BYTES, self.reader()?)))
    }
}

/// Starts to read the log and to shift its times. The chunks end with the log, or with the error that stopped
/// reading.
pub(crate) fn start(
    source: &Source,
    parser: Parser,
    by: SignedDuration,
) -> Result<mpsc::Receiver<Result<Chunk>>> {
    let lines = source.open()?;
    let name = source.name();
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    std::thread::Builder::new()
        .name("read".into())
        .spawn(move || {
            if let Err(error) = read(lines, parser, by, &sender) {
                let error = anyhow::Error::new(error).context(format!("cannot read {name}"));
                // This fails if the receiver is gone, because the replay has already failed.
                let _ = sender.blocking_send(Err(error));
            }
        })
        .context("cannot start a thread")?;
    Ok(receiver)
}

fn read(
    mut lines: Lines<BufReader<impl Read>>,
    mut parser: Parser,
    by: SignedDuration,
    sender: &mpsc::Sender<Result<Chunk>>,
) -> std::io::Result<()> {
    let mut chunk = Chunk::default();
    loop {
        // Events of a log that is still being written, as with `tail -f`, must not wait for a full chunk.
        if chunk.lines >= CHUNK_LINES || (chunk.lines > 0 && lines.may_block()) {
            chunk.position = lines.bytes;
            if sender.blocking_send(Ok(std::mem::take(&mut chunk))).is_err() {
                return Ok(());
            }
        }
        let parsed = match lines.next()? {
            None => break,
            Some(Line::TooLong) => Err("longer than 256 KiB".into()),
            Some(Line::Bytes(line)) => parser.parse(line),
        };
        chunk.lines += 1;
        let number = lines.number;
        let moved =
            parsed.and_then(|event| event.map(|mut event| shift(&mut event, by).map(|()| event)).transpose());
        match moved {
            Ok(Some(event)) => chunk.events.push((number, event)),
            Ok(None) => chunk.skipped += 1,
            Err(reason) => chunk.malformed.push((number, reason)),
        }
    }
    chunk.position = lines.bytes;
    let _ = sender.blocking_send(Ok(chunk));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::Format;

    #[test]
    fn chunks_contain_every_line_with_its_number() {
        let log = br#"
{"timestamp":"2026-11-20T10:00:00Z"}
nonsense
{"timestamp":"2026-11-20T10:00:01Z"}"#;
        let (sender, mut receiver) = mpsc::channel(4);
        let parser = Parser::new(Format::Jsonl, None, "");
        read(Lines::new(BufReader::new(&log[..])), parser, SignedDuration::ZERO, &sender).unwrap();
        let chunk = receiver.blocking_recv().unwrap().unwrap();
        let numbers: Vec<_> = chunk.events.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [2, 4]);
        assert_eq!(chunk.malformed, [(3, "expected a JSON object".into())]);
        assert_eq!((chunk.lines, chunk.skipped), (4, 1));
        assert_eq!(chunk.position, log.len() as u64);
    }

    #[test]
    fn a_missing_file_is_an_immediate_error() {
        let source = Source::new(Path::new("/nonexistent/log"));
        let error = start(&source, Parser::new(Format::Nova, None, ""), SignedDuration::ZERO).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /nonexistent/log");
    }
}
