//! Percent-escapes what HTTP does not allow in a request line, and touches nothing else.
//!
//! Stock clients put JSON into their queries as it is. The server's parser refuses that, so it is escaped on the way in.
//! Requests follow each other on a connection, and their bodies look like anything; to find the next request line, the
//! framing of every request is followed. Where that is in doubt, the rest of the connection passes untouched.

/// How much of a line is looked at. The lines that matter are shorter.
const LINE_BYTES: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    RequestLine,
    Headers,
    Body(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailers,
    /// Nothing is looked at any more.
    Transparent,
}

/// Follows what a client sends on one connection.
#[derive(Debug)]
pub(super) struct Escaper {
    state: State,
    /// The beginning of the current line.
    line: Vec<u8>,
    /// The length of the current line.
    line_bytes: usize,
    /// Whether the method is behind.
    in_target: bool,
    length: Option<u64>,
    chunked: bool,
    doubtful: bool,
}

impl Escaper {
    pub(super) fn new() -> Self {
        Self {
            state: State::RequestLine,
            line: Vec::with_capacity(LINE_BYTES),
            line_bytes: 0,
            in_target: false,
            length: None,
            chunked: false,
            doubtful: false,
        }
    }

    /// How many of the next bytes pass as they are.
    pub(super) const fn untouched(&self) -> u64 {
        match self.state {
            State::Body(left) | State::Chunk(left) => left,
            State::Transparent => u64::MAX,
            _ => 0,
        }
    }

    /// Takes note that so many of the [`untouched`](Self::untouched) bytes have passed.
    pub(super) const fn passed(&mut self, bytes: u64) {
        self.state = match self.state {
            State::Body(left) if left == bytes => State::RequestLine,
            State::Body(left) => State::Body(left - bytes),
            State::Chunk(left) if left == bytes => State::ChunkEnd,
            State::Chunk(left) => State::Chunk(left - bytes),
            other => other,
        };
    }

    /// Appends `input` to `out`, escaped where it has to be.
    pub(super) fn feed(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        while !input.is_empty() {
            let untouched = usize::try_from(self.untouched()).unwrap_or(usize::MAX).min(input.len());
            if untouched > 0 {
                out.extend_from_slice(&input[..untouched]);
                self.passed(untouched as u64);
                input = &input[untouched..];
                continue;
            }
            self.byte(input[0], out);
            input = &input[1..];
        }
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.state == State::RequestLine && self.in_target && needs_escape(byte) {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        } else {
            out.push(byte);
        }
        if byte == b'\n' {
            self.end_of_line();
            self.line.clear();
            self.line_bytes = 0;
            return;
        }
        self.in_target |= byte == b' ';
        self.line_bytes += 1;
        if self.line.len() < LINE_BYTES {
            self.line.push(byte);
        }
    }

    fn end_of_line(&mut self) {
        let line = self.line.trim_ascii();
        self.state = match self.state {
            // Empty lines before a request are allowed.
            State::RequestLine if line.is_empty() => State::RequestLine,
            State::RequestLine => {
                self.length = None;
                self.chunked = false;
                self.doubtful = line.starts_with(b"CONNECT ");
                State::Headers
            }
            State::Headers if line.is_empty() => self.end_of_headers(),
            State::Headers => {
                self.header();
                State::Headers
            }
            State::ChunkSize => chunk_size(line),
            State::ChunkEnd if line.is_empty() => State::ChunkSize,
            State::Trailers if line.is_empty() => State::RequestLine,
            State::Trailers => State::Trailers,
            _ => State::Transparent,
        };
        self.in_target = false;
    }

    fn header(&mut self) {
        let mut parts = self.line.splitn(2, |b| *b == b':');
        let name = parts.next().unwrap_or_default().trim_ascii();
        let value = parts.next().unwrap_or_default().trim_ascii();
        let whole = self.line_bytes <= LINE_BYTES;
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value).ok().and_then(|v| v.parse::<u64>().ok());
            let differs = self.length.is_some() && self.length != length;
            self.doubtful |= length.is_none() || differs || !whole;
            self.length = length;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.chunked = value.to_ascii_lowercase().ends_with(b"chunked");
            self.doubtful |= !self.chunked || !whole;
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            self.doubtful = true;
        }
    }

    const fn end_of_headers(&self) -> State {
        match (self.doubtful, self.chunked, self.length) {
            (true, _, _) => State::Transparent,
            (false, true, _) => State::ChunkSize,
            (false, false, Some(length)) if length > 0 => State::Body(length),
            (false, false, _) => State::RequestLine,
        }
    }
}

const fn needs_escape(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'|' | b'{' | b'}' | 0x80..)
}

fn chunk_size(line: &[u8]) -> State {
    let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let size = std::str::from_utf8(&line[..digits]).ok().and_then(|d| u64::from_str_radix(d, 16).ok());
    match size {
        Some(0) => State::Trailers,
        Some(size) => State::Chunk(size),
        None => State::Transparent,
    }
}

#[cfg(test)]
mod tests {
    use super::Escaper;

    /// Feeds `input` in pieces of every size, which must make no difference.
    fn escaped(input: &str) -> String {
        let mut whole = Vec::new();
        Escaper::new().feed(input.as_bytes(), &mut whole);
        for size in 1..input.len() {
            let mut out = Vec::new();
            let mut escaper = Escaper::new();
            input.as_bytes().chunks(size).for_each(|chunk| escaper.feed(chunk, &mut out));
            assert_eq!(out, whole, "in pieces of {size} bytes");
        }
        String::from_utf8(whole).unwrap()
    }

    #[test]
    fn only_the_target_is_escaped() {
        assert_eq!(
            escaped("GET /pull?since={\"a\":1}<>\\^`|é HTTP/1.1\r\nX-Json: {\"a\"}\r\n\r\n"),
            "GET /pull?since=%7B%22a%22:1%7D%3C%3E%5C%5E%60%7C%C3%A9 HTTP/1.1\r\nX-Json: {\"a\"}\r\n\r\n"
        );
    }

    #[test]
    fn bodies_pass_and_the_next_request_is_found() {
        let body = "{\"x\":\"GET /a?{} HTTP/1.1\"}\r\n\r\n";
        let post = format!("POST /push HTTP/1.1\r\ncontent-LENGTH: {}\r\n\r\n{body}", body.len());
        let chunked = "POST /p HTTP/1.1\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n4;a=\"{\r\n{\"}\n\r\nb\r\n\"0\r\n\r\nGET {\r\n0\r\nT: {\r\n\r\n";
        assert_eq!(
            escaped(&format!("{post}\r\nGET /b?{{ HTTP/1.1\r\n\r\n{chunked}GET /c?}} HTTP/1.1\n\n")),
            format!("{post}\r\nGET /b?%7B HTTP/1.1\r\n\r\n{chunked}GET /c?%7D HTTP/1.1\n\n")
        );
    }

    #[test]
    fn in_doubt_nothing_more_is_touched() {
        let rest = "GET /?{ HTTP/1.1\r\n\r\n";
        for head in [
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
            "CONNECT a:1 HTTP/1.1\r\n\r\n",
        ] {
            let input = format!("{head}{rest}");
            assert_eq!(escaped(&input), input);
        }
    }
}
