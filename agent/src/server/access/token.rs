//! A bearer token on its way from a request to the API server, and the key under which an answer is kept.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use ring::digest;

/// Longer ones are not looked at. Those of service accounts have about a kilobyte.
const MOST: usize = 8 * 1024;

/// A bearer token. It cannot be shown, so that none gets into a log by chance.
#[derive(Clone)]
pub(super) struct Token(Box<str>);

/// Stands for a token and what is asked for with it, and leads back to neither.
pub(super) type Key = [u8; digest::SHA256_OUTPUT_LEN];

/// What of `Authorization` is no bearer token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoToken {
    /// There is none.
    Absent,
    /// There are several, or it is none that RFC 6750 allows.
    Malformed,
}

impl Token {
    /// The one of a request.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, NoToken> {
        let mut all = headers.get_all(AUTHORIZATION).iter();
        let written = all.next().ok_or(NoToken::Absent)?;
        // With two, one of them may be somebody else's.
        if all.next().is_some() {
            return Err(NoToken::Malformed);
        }
        Self::read(written.as_bytes()).ok_or(NoToken::Malformed)
    }

    fn read(written: &[u8]) -> Option<Self> {
        let written = std::str::from_utf8(written).ok()?;
        let (scheme, token) = written.split_once(' ')?;
        let token = token.trim_matches(' ');
        let is_good = scheme.eq_ignore_ascii_case("bearer") && token.len() <= MOST && is_b64(token);
        is_good.then(|| Self(token.into()))
    }

    /// What is sent to the API server.
    pub(super) fn secret(&self) -> &str {
        &self.0
    }

    /// With the path that is asked for: two tokens, or two paths, never have the same key.
    pub(super) fn key(&self, path: &str) -> Key {
        let mut context = digest::Context::new(&digest::SHA256);
        // No token has a line feed in it.
        for part in [&self.0, "\n", path] {
            context.update(part.as_bytes());
        }
        let mut key = Key::default();
        key.copy_from_slice(context.finish().as_ref());
        key
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// `b64token` of RFC 6750, section 2.1.
fn is_b64(token: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    let body = token.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(is_legal)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[&str]) -> Result<String, NoToken> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        Token::of(&headers).map(|token| token.secret().to_owned())
    }

    #[test]
    fn one_bearer_token_is_taken_and_all_else_is_not() {
        assert_eq!(of(&["Bearer abc.DEF-_~+/=="]).unwrap(), "abc.DEF-_~+/==");
        assert_eq!(of(&["bearer  abc"]).unwrap(), "abc");
        assert_eq!(of(&[]), Err(NoToken::Absent));
        let long = format!("Bearer {}", "a".repeat(MOST + 1));
        for bad in
            ["", "Bearer", "Bearer ", "Bearer =", "Basic abc", "Bearer a b", "Bearer a\"", &long]
        {
            assert_eq!(of(&[bad]), Err(NoToken::Malformed), "{bad}");
        }
        assert_eq!(of(&["Bearer a", "Bearer b"]), Err(NoToken::Malformed));
    }

    #[test]
    fn neither_key_nor_debug_shows_the_token() {
        let token = Token::read(b"Bearer s3cret").unwrap();
        assert_eq!(format!("{token:?}"), "Token(…)");
        assert_ne!(token.key("/metrics"), token.key("/"));
        let key = token.key("/metrics");
        assert!(!key.windows(6).any(|six| six == b"s3cret"));
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Token::read(&bytes);
            let _ = Token::read(&[b"Bearer ", &bytes[..]].concat());
        }
    }
}
