//! Writing JSON text by hand, so that data which is JSON already goes in byte for byte.

use std::fmt::Write as _;

use synckit_core::Mark;

/// Appends `text` as a JSON string.
pub(crate) fn string(out: &mut String, text: &str) {
    out.push('"');
    let mut plain = 0;
    for (i, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[plain..i]);
        plain = i + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            control => append(out, format_args!("\\u{control:04x}")),
        }
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

/// Appends what `arguments` show.
pub(crate) fn append(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(arguments);
}

/// Appends a key and its colon, after a comma unless the object has just begun.
pub(crate) fn key(out: &mut String, name: &str) {
    if !out.ends_with('{') {
        out.push(',');
    }
    append(out, format_args!("\"{name}\":"));
}

/// Appends a mark.
pub(crate) fn mark(out: &mut String, mark: &Mark) {
    append(out, format_args!("{{\"position\":{},\"hash\":\"{}\"}}", mark.position, mark.hash));
}

#[cfg(test)]
mod tests {
    use super::string;

    #[test]
    fn strings_read_back_as_they_were() {
        for text in ["", "plain", "\"\\/", "\u{0}\u{1f}\n\r\t\u{7f}", "é\u{2028}\u{1f600}"] {
            let mut out = String::new();
            string(&mut out, text);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }
}
