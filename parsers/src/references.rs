//! Character references in XML that no XML may have: tools write `&#27;` for the control
//! characters that a test printed, and a strict reader refuses the whole document.

use memchr::memmem;
use std::borrow::Cow;

/// The text without references to characters that XML does not know.
pub(crate) fn known(text: &str) -> Cow<'_, str> {
    let mut from = 0;
    let mut clean = String::new();
    for at in memmem::find_iter(text.as_bytes(), b"&#") {
        if let Some(length) = unknown(&text[at..]) {
            clean.push_str(&text[from..at]);
            from = at + length;
        }
    }
    if from == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(&text[from..]);
    Cow::Owned(clean)
}

/// The length of a reference to a character that XML does not know.
fn unknown(text: &str) -> Option<usize> {
    let end = text.as_bytes().iter().take(12).position(|b| *b == b';')?;
    let number = &text[2..end];
    let value = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => number.parse().ok()?,
    };
    let fits = match value {
        0x9 | 0xa | 0xd => true,
        0xfffe | 0xffff => false,
        value => value >= 0x20 && char::from_u32(value).is_some(),
    };
    (!fits).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_xml_does_not_know_goes() {
        let text = "<a>&#27;[31mred&#x1B;[0m &#228;&#10;&#0;&#xD800;&#;&#x;&amp;&#xe4;</a>";
        assert_eq!(
            known(text),
            "<a>[31mred[0m &#228;&#10;&#;&#x;&amp;&#xe4;</a>"
        );
        assert!(matches!(known("&#228;&#39;"), Cow::Borrowed(_)));
        assert_eq!(known("&#"), "&#");
        assert_eq!(known("&#ä;"), "&#ä;");
    }
}
