//! Regular expressions, compiled once for as long as any table has them.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use regex::bytes::{Regex, RegexBuilder};

use super::flaw::{Flaw, Reason};

/// Most bytes that one compiled expression may have, and a thread's working memory for it.
const MAX_REGEX: usize = 128 << 10;
/// Expressions that are remembered beside those that a table has.
const MAX_KNOWN: usize = 256;

/// By their text. A table is built anew at every change of any route, and compiling is most of the work.
static KNOWN: LazyLock<Mutex<HashMap<Arc<str>, Arc<Regex>>>> = LazyLock::new(Mutex::default);

/// The expression that matches whole paths.
pub(super) fn pattern(text: &Arc<str>) -> Result<Arc<Regex>, Flaw> {
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = known().get(text) {
        return Ok(found.clone());
    }
    let compiled = Arc::new(compile(text)?);
    let mut known = known();
    if known.len() >= MAX_KNOWN {
        known.retain(|_, pattern| Arc::strong_count(pattern) > 1);
    }
    known.insert(text.clone(), compiled.clone());
    Ok(compiled)
}

fn compile(text: &str) -> Result<Regex, Flaw> {
    // By bytes and without Unicode classes, whose tables are large: `\d` is a digit of a URL.
    let compile = |text: &str, size: usize| {
        let mut builder = RegexBuilder::new(text);
        builder.unicode(false).size_limit(size).dfa_size_limit(MAX_REGEX).build()
    };
    // Only read by itself first, so that `a)|(b` is a fault and not a way out of the group.
    match compile(text, 0) {
        Ok(_) | Err(regex::Error::CompiledTooBig(_)) => {}
        Err(error) => return Err(flaw(text, &error)),
    }
    compile(&format!(r"\A(?:{text})\z"), MAX_REGEX).map_err(|error| flaw(text, &error))
}

fn flaw(text: &str, error: &regex::Error) -> Flaw {
    let why = match error {
        regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
        // The last line says what is wrong, those before show where.
        other => {
            let said = other.to_string();
            said.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        }
    };
    let sentence = format!("{text:?} is no regular expression of the regex crate: {why}");
    Flaw { reason: Reason::Regex, sentence }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expression_is_compiled_once() {
        let text = Arc::from("/compiled-once-[0-9]+");
        let first = pattern(&text).unwrap();
        assert!(Arc::ptr_eq(&first, &pattern(&text).unwrap()));
        for at in 0..2 * MAX_KNOWN {
            drop(pattern(&format!("/{at}-[a-z]*").into()));
        }
        assert!(Arc::ptr_eq(&first, &pattern(&text).unwrap()), "it is in use");
        let known = KNOWN.lock().unwrap().len();
        assert!(known <= MAX_KNOWN, "{known}");
    }
}
