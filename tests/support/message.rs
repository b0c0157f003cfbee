//! Heads, requests and responses as a suspicious reader sees them.

/// One header line: the name as spelt, the value without blanks around it, one `char` per byte.
pub type Field = (String, String);

/// A start line and header lines.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Head {
    /// First line, one `char` per byte.
    pub start: String,
    /// Header lines in order.
    pub fields: Vec<Field>,
}

impl Head {
    /// Reads `bytes`, which end with the blank line. Says what is wrong with anything that a strict
    /// reader would not take.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = latin1(bytes);
        let text = text.strip_suffix("\r\n\r\n").ok_or("no blank line at the end")?;
        let mut lines = text.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        if let Some(bad) = text.replace("\r\n", "").chars().find(|it| matches!(it, '\r' | '\n' | '\0')) {
            return Err(format!("{bad:?} inside a line of {text:?}"));
        }
        let fields = lines.map(parse_field).collect::<Result<_, _>>()?;
        Ok(Self { start, fields })
    }

    /// Values of the lines with this name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        values(&self.fields, name)
    }

    /// The value of the one line with this name; fails when there are several.
    #[track_caller]
    pub fn one(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} appears {} times: {self:?}", all.len());
        all.first().copied()
    }

    /// Whether there is a line with this name.
    pub fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }

    /// The status code, if this is the head of a response.
    pub fn status(&self) -> Option<u16> {
        let rest = self.start.strip_prefix("HTTP/1.")?.get(2..)?;
        let digits = rest.get(..3)?;
        (rest.len() == 3 || rest.as_bytes()[3] == b' ').then(|| digits.parse().ok())?
    }
}

/// Values of the lines with this name.
pub fn values<'a>(fields: &'a [Field], name: &str) -> Vec<&'a str> {
    fields.iter().filter(|it| it.0.eq_ignore_ascii_case(name)).map(|it| it.1.as_str()).collect()
}

/// Reads one header line.
pub fn parse_field(line: &str) -> Result<Field, String> {
    let (name, value) = line.split_once(':').ok_or_else(|| format!("no colon in {line:?}"))?;
    let token = |it: char| it.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(it);
    if name.is_empty() || !name.chars().all(token) {
        return Err(format!("{name:?} is no header name"));
    }
    Ok((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}

/// A request as an upstream received it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Request {
    /// Request line and header lines.
    pub head: Head,
    /// Body without its framing.
    pub body: Vec<u8>,
    /// Trailer lines of a chunked body.
    pub trailers: Vec<Field>,
}

impl Request {
    /// `GET` of `GET / HTTP/1.1`.
    pub fn method(&self) -> &str {
        self.head.start.split(' ').next().unwrap_or_default()
    }

    /// `/` of `GET / HTTP/1.1`.
    pub fn target(&self) -> &str {
        self.head.start.split(' ').nth(1).unwrap_or_default()
    }
}

/// A final response as a client received it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Response {
    /// Heads of the interim responses before it.
    pub interim: Vec<Head>,
    /// Status code.
    pub status: u16,
    /// Status line and header lines.
    pub head: Head,
    /// Body without its framing.
    pub body: Vec<u8>,
    /// Trailer lines of a chunked body.
    pub trailers: Vec<Field>,
}

impl Response {
    /// The body as text.
    pub fn text(&self) -> String {
        latin1(&self.body)
    }

    /// The value of the one line with this name.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.one(name)
    }

    /// Whether it announces that the connection ends with it.
    pub fn closes(&self) -> bool {
        let tokens = self.head.all("connection").join(",").to_ascii_lowercase();
        tokens.split(',').any(|it| it.trim() == "close")
    }

    /// What the gate says went wrong, when it answered by itself.
    pub fn error(&self) -> Option<&str> {
        self.header("x-tidegate-error")
    }
}

/// One `char` per byte.
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|it| char::from(*it)).collect()
}

/// One byte per `char`; the inverse of [`latin1`].
pub fn bytes_of(text: &str) -> Vec<u8> {
    text.chars().map(|it| u8::try_from(u32::from(it)).expect("one byte per character")).collect()
}
