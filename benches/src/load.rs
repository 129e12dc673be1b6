//! Asks an HTTP server as much as it can answer, over connections that stay open, and takes little of the machine for it: one thread, one
//! write and one read for each request, no request made anew and no answer understood beyond its length.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

/// Room for the longest answer.
const BUFFER: usize = 1 << 20;

/// What a run came to.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Requests answered.
    pub requests: f64,
    /// How long it took.
    pub seconds: f64,
    /// Processor time of the one who asked, seconds.
    pub cpu_seconds: f64,
}

/// Asks for each of `targets` in turn, on so many connections at once, for so long. Blocks.
///
/// # Errors
/// When an answer is not 200.
pub fn gets(port: u16, targets: &[String], connections: usize, time: Duration) -> anyhow::Result<Load> {
    let requests: Vec<Vec<u8>> = targets
        .iter()
        .map(|target| format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n"))
        .map(String::into_bytes)
        .collect();
    let connect = |_| {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        std::io::Result::Ok(stream)
    };
    let mut streams = (0..connections).map(connect).collect::<Result<Vec<_>, _>>()?;
    let mut buffer = vec![0; BUFFER];
    let (mut next, mut answered) = (requests.iter().cycle(), 0_u32);
    let (start, cpu) = (Instant::now(), own_cpu()?);
    // All connections are asked before the first is read, so the server has always something to do.
    while start.elapsed() < time {
        for stream in &mut streams {
            stream.write_all(next.next().context("nothing to ask for")?)?;
        }
        for stream in &mut streams {
            read_answer(stream, &mut buffer)?;
            answered += 1;
        }
    }
    Ok(Load {
        requests: answered.into(),
        seconds: start.elapsed().as_secs_f64(),
        cpu_seconds: own_cpu()? - cpu,
    })
}

fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> anyhow::Result<()> {
    let mut length = 0;
    let mut end = None;
    while end.is_none_or(|end| length < end) {
        let room =
            buffer.get_mut(length..).filter(|room| !room.is_empty()).context("an answer is too long")?;
        let read = stream.read(room)?;
        ensure!(read > 0, "the server closed a connection");
        length += read;
        if end.is_none() {
            end = whole(buffer.get(..length).unwrap_or_default())?;
        }
    }
    Ok(())
}

/// Length of the answer with its head; none before the head is there.
fn whole(answer: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(answer.get(..head).unwrap_or_default())?;
    ensure!(text.starts_with("HTTP/1.1 200"), "it answered {text}");
    let is_length =
        |line: &&str| line.get(..15).is_some_and(|name| name.eq_ignore_ascii_case("content-length:"));
    let line = text.lines().find(is_length).context("no Content-Length")?;
    let length: usize = line.get(15..).unwrap_or_default().trim().parse()?;
    Ok(Some(head + 4 + length))
}

/// Processor time of this thread.
fn own_cpu() -> anyhow::Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros)?).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_head_says() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(whole(answer).unwrap(), Some(answer.len()));
        assert_eq!(whole(&answer[..20]).unwrap(), None);
        whole(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").unwrap_err();
    }
}
