//! Just enough of Postgres's wire protocol (version 3.0) to ask a real server: start-up without a
//! password, simple queries, answers as text. No client program is sure to be installed.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// What stands in the first column of the answer.
pub(crate) fn query(url: &str, sql: &str) -> Result<Vec<String>, String> {
    let host = url
        .strip_prefix("postgresql:///ark?host=")
        .and_then(|rest| rest.strip_suffix("&user=ark"))
        .ok_or(format!("not our URL: {url}"))?;
    let mut stream = UnixStream::connect(format!("{host}/.s.PGSQL.5432")).map_err(text)?;
    let mut start = 196_608_u32.to_be_bytes().to_vec();
    start.extend(b"user\0ark\0database\0ark\0\0");
    send(&mut stream, None, &start)?;
    answer(&mut stream)?;
    send(&mut stream, Some(b'Q'), &[sql.as_bytes(), b"\0"].concat())?;
    answer(&mut stream)
}

/// The one value that a query answers.
pub(crate) fn value(url: &str, sql: &str) -> String {
    let rows = query(url, sql).unwrap();
    assert_eq!(rows.len(), 1, "{sql}");
    rows[0].clone()
}

fn send(stream: &mut UnixStream, kind: Option<u8>, body: &[u8]) -> Result<(), String> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    let message = [kind.as_slice(), &length, body].concat();
    stream.write_all(&message).map_err(text)
}

/// Reads up to ReadyForQuery.
fn answer(stream: &mut UnixStream) -> Result<Vec<String>, String> {
    let mut rows = Vec::new();
    let mut error = None;
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head).map_err(|end| {
            // After a fatal error the server hangs up.
            error.clone().unwrap_or(text(end))
        })?;
        let length = u32::from_be_bytes(head[1..].try_into().unwrap());
        let mut body = vec![0; length as usize - 4];
        stream.read_exact(&mut body).map_err(text)?;
        match head[0] {
            b'D' => rows.push(first_column(&body)),
            b'E' => error = Some(String::from_utf8_lossy(&body).replace('\0', " ")),
            b'Z' => return error.map_or(Ok(rows), Err),
            _ => {}
        }
    }
}

fn first_column(body: &[u8]) -> String {
    let length = i32::from_be_bytes(body[2..6].try_into().unwrap());
    let length = usize::try_from(length).unwrap_or(0);
    String::from_utf8(body[6..6 + length].to_vec()).unwrap()
}

fn text(error: std::io::Error) -> String {
    error.to_string()
}
