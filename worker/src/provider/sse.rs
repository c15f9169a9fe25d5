//! Server-sent events out of a byte stream: <https://html.spec.whatwg.org/multipage/server-sent-events.html>,
//! the `data` field only.

/// Collects bytes and hands out the data of complete events.
#[derive(Debug, Default)]
pub(crate) struct SseReader {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that are known to hold no end of a line.
    scanned: usize,
    data: Vec<u8>,
    has_data: bool,
    total: usize,
}

/// A stream larger than what is kept in memory for one reply.
#[derive(Debug, PartialEq)]
pub(crate) struct TooLarge;

/// More than any model writes in one reply; guards memory against a broken or hostile server.
const MAX_STREAM_BYTES: usize = 64 << 20;

impl SseReader {
    /// Takes the next bytes and returns the data of each event that they complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, TooLarge> {
        self.total += bytes.len();
        if self.total > MAX_STREAM_BYTES {
            return Err(TooLarge);
        }
        self.buffer.extend_from_slice(bytes);
        let mut events = Vec::new();
        let mut start = 0;
        let mut scanned = self.scanned;
        while let Some(length) = self.buffer[scanned..]
            .iter()
            .position(|byte| *byte == b'\n')
        {
            let line = self.buffer[start..scanned + length].to_vec();
            start = scanned + length + 1;
            scanned = start;
            events.extend(self.line(line.strip_suffix(b"\r").unwrap_or(&line)));
        }
        self.buffer.drain(..start);
        self.scanned = self.buffer.len();
        Ok(events)
    }

    /// What stands in an event that was not closed by an empty line, as some servers end their stream.
    pub(crate) fn rest(&mut self) -> Option<Vec<u8>> {
        let line = std::mem::take(&mut self.buffer);
        self.scanned = 0;
        if !line.is_empty() {
            self.line(&line);
        }
        self.line(b"")
    }

    fn line(&mut self, line: &[u8]) -> Option<Vec<u8>> {
        if line.is_empty() {
            let complete = std::mem::take(&mut self.has_data);
            let data = std::mem::take(&mut self.data);
            return complete.then_some(data);
        }
        let value = line.strip_prefix(b"data:")?;
        if self.has_data {
            self.data.push(b'\n');
        }
        self.data
            .extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
        self.has_data = true;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parts: &[&str]) -> Vec<String> {
        let mut reader = SseReader::default();
        let mut events = Vec::new();
        for part in parts {
            events.extend(reader.push(part.as_bytes()).unwrap());
        }
        events.extend(reader.rest());
        events
            .into_iter()
            .map(|event| String::from_utf8(event).unwrap())
            .collect()
    }

    #[test]
    fn events_survive_any_cut() {
        let text = ": ping\r\n\r\nevent: x\r\ndata: {\"a\":1}\r\n\r\ndata:one\ndata: two\n\ndata: [DONE]\n\n";
        let expected = ["{\"a\":1}", "one\ntwo", "[DONE]"];
        assert_eq!(read(&[text]), expected);
        for cut in 0..text.len() {
            assert_eq!(
                read(&[&text[..cut], &text[cut..]]),
                expected,
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn an_unclosed_last_event_is_kept() {
        assert_eq!(read(&["data: a\n\ndata: b"]), ["a", "b"]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut reader = SseReader::default();
        let chunk = vec![b'x'; MAX_STREAM_BYTES];
        assert_eq!(reader.push(&chunk), Ok(Vec::new()));
        assert_eq!(reader.push(b"x"), Err(TooLarge));
    }
}
