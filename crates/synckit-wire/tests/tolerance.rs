//! What others may write, and what is made of it.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use synckit_core::{ErrorKind, store::RefusalCode};
use synckit_wire::{failure, read_page, read_push};

fn ids(body: &str) -> Vec<Result<String, (usize, String)>> {
    let push = read_push(body.as_bytes(), 100).unwrap();
    push.elements
        .into_iter()
        .map(|e| e.map(|offered| offered.event.id.to_string()).map_err(|unfit| (unfit.index, unfit.id)))
        .collect()
}

#[test]
fn objects_are_read_as_a_go_decoder_reads_them() {
    let cases = [
        (r#"{"event":{"id":"a","type":"t","aggregate_id":"g"},"version":"1"}"#, "a"),
        (r#"{"EVENT":{"Id":"a","TYPE":"t","Aggregate_Id":"g"},"Version":""}"#, "a"),
        (r#"{"event":{"id":"x","id":"a","type":"t","aggregate_id":"g"}}"#, "a"),
        (r#"{"event":{"id":"a","id":null,"type":"t","aggregate_id":"g"}}"#, "a"),
        (r#"{"event":{"id":"a"},"event":{"type":"t","aggregate_id":"g"}}"#, "a"),
        (
            r#"{"event":{"id":"a","type":"t","aggregate_id":"g","metadata":null,"data":null,"codec":null},"stamp":null,"stub":null}"#,
            "a",
        ),
        (r#"{"x":[{"y":1e999}],"event":{"z":"\ud800","id":"\u0061","type":"t","aggregate_id":"g"}}"#, "a"),
        (r#"{"event":{"id":"a","type":"t","aggregate_id":"g"},"version":7}"#, "a"),
    ];
    for (element, id) in cases {
        assert_eq!(ids(&format!("[{element}]")), [Ok(id.to_owned())], "{element}");
    }
}

#[test]
fn bodies_without_events() {
    for body in ["[]", "null", " [ ] ", "[]]", "null garbage", "[]{\"events\":[{}]}"] {
        let push = read_push(body.as_bytes(), 0).unwrap();
        assert!(push.elements.is_empty() && push.caller.is_none(), "{body}");
    }
    for body in [
        "",
        " ",
        "[",
        "[{]",
        "tru",
        "{\"events\":7}",
        "{\"node\":\"x\"}",
        "\"[]\"",
        "7",
        "true",
        "\u{fffd}",
        "{}",
    ] {
        let error = read_push(body.as_bytes(), 10).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{body}");
    }
    assert_eq!(read_push(b"[{\"event\":\xff}]", 10).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(read_push(b"[{\"event\":{\"data\":\"\xff\"}}]", 10).unwrap_err().kind(), ErrorKind::Invalid);
    let error = read_push(b"[\n{\"event\":{\"id\":}}]", 10).unwrap_err();
    assert!(error.to_string().contains("line 2 column 16"), "{error}");
}

#[test]
fn one_bad_element_does_not_fail_the_others() {
    let good = r#"{"event":{"id":"good","type":"t","aggregate_id":"g"}}"#;
    let long = "é".repeat(200);
    let with =
        |event: &str, more: &str| format!(r#"{{"event":{{{event},"type":"t","aggregate_id":"g"}}{more}}}"#);
    let stamp = |counter: i64, origin: &str| {
        with(
            "\"id\":\"a\"",
            &format!(r#","stamp":{{"origin":"{origin}","counter":{counter},"timestamp":1}}"#),
        )
    };
    let node = "0".repeat(32);
    let cases = [
        ("null".to_owned(), ""),
        ("{}".to_owned(), ""),
        ("7".to_owned(), ""),
        ("-7".to_owned(), ""),
        ("0.5".to_owned(), ""),
        ("true".to_owned(), ""),
        ("\"text\"".to_owned(), ""),
        ("[[1],{}]".to_owned(), ""),
        (r#"{"event":"text"}"#.to_owned(), ""),
        (r#"{"event":[1]}"#.to_owned(), ""),
        (with("\"id\":\"\"", ""), ""),
        (with("\"id\":7", ""), ""),
        (with("\"id\":\"\\ud800\"", ""), ""),
        (with("\"id\":\"a\\u0000b\"", ""), "a\0b"),
        (with(&format!("\"id\":\"{long}\""), ""), &long[..254]),
        (with("\"id\":\"a\",\"metadata\":[]", ""), "a"),
        (with(&format!("\"id\":\"a\",\"metadata\":{{\"k\":\"{}\"}}", "x".repeat(70_000)), ""), "a"),
        (with("\"id\":\"a\",\"codec\":\"cbor\",\"data\":\"?\"", ""), "a"),
        (with("\"id\":\"a\",\"codec\":\"no codec\",\"data\":\"\"", ""), "a"),
        (with("\"id\":\"a\",\"codec\":7", ""), "a"),
        (r#"{"event":{"id":"a","type":"t"}}"#.to_owned(), "a"),
        (stamp(0, &node), "a"),
        (stamp(-1, &node), "a"),
        (stamp(1, "x"), "a"),
        (with("\"id\":\"a\"", ",\"stamp\":7"), "a"),
        (with("\"id\":\"a\"", &format!(",\"stub\":\"{}\"", "0".repeat(64))), "a"),
        (with("\"id\":\"a\"", ",\"stub\":\"x\""), "a"),
    ];
    for (element, id) in cases {
        let body = format!("[{good},{element},{good}]");
        let expected = [Ok("good".to_owned()), Err((1, id.to_owned())), Ok("good".to_owned())];
        assert_eq!(ids(&body), expected, "{element}");
        let push = read_push(body.as_bytes(), 3).unwrap();
        assert_eq!(push.elements[1].as_ref().unwrap_err().refusal.code, RefusalCode::Invalid);
    }
}

#[test]
fn the_number_of_events_is_limited_while_they_are_read() {
    for body in ["[null,null,null]", "[null,null,null,", r#"{"events":[{},{},{}"#] {
        let error = read_push(body.as_bytes(), 2).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{body}: {error}");
        assert_eq!(read_page(body.as_bytes(), 2).unwrap_err().kind(), ErrorKind::TooLarge);
    }
    assert_eq!(read_push(b"[null,null]", 2).unwrap().elements.len(), 2);
}

#[test]
fn nesting_takes_no_stack() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let body = format!(
        r#"[{{"event":{{"id":"a","type":"t","aggregate_id":"g","data":{deep},"x":{deep}}},"y":{deep}}}]"#
    );
    let push = read_push(body.as_bytes(), 1).unwrap();
    assert_eq!(push.elements[0].as_ref().unwrap().event.data.as_json(), Some(&*deep));
}

#[test]
fn data_goes_through_byte_for_byte() {
    for data in
        ["9007199254740993", "1e400", "-0.0", r#""\u0000\ud800 <&>""#, r#"{ "b" : [ 1.0 ] ,"a":"😀" }"#]
    {
        let body = format!(r#"[{{"event":{{"id":"a","type":"t","aggregate_id":"g","data":{data}}}}}]"#);
        let push = read_push(body.as_bytes(), 1).unwrap();
        assert_eq!(push.elements[0].as_ref().unwrap().event.data.as_json(), Some(data));
    }
    let body = "[{\"event\":{\"id\":\"a\",\"type\":\"t\",\"aggregate_id\":\"g\",\"data\":{\r\n\"a\":1}}}]";
    let push = read_push(body.as_bytes(), 1).unwrap();
    assert_eq!(push.elements[0].as_ref().unwrap().event.data.as_json(), Some("{  \"a\":1}"));
}

#[test]
fn failures_of_every_shape_are_understood() {
    let cases = [
        (
            500,
            r#"{"error":"could not load events"}"#,
            ErrorKind::Unavailable,
            "status 500: could not load events",
        ),
        (
            400,
            r#"{"error":{"code":"INVALID_CURSOR","message":"invalid limit","op":"httptransport.Pull"}}"#,
            ErrorKind::Invalid,
            "status 400: invalid limit",
        ),
        (
            400,
            r#"{"Error":{"Code":"LOG_CHANGED","Message":"gone"}} x"#,
            ErrorKind::LogChanged,
            "status 400: gone",
        ),
        (401, "invalid token\n", ErrorKind::Unauthorized, "status 401: invalid token"),
        (502, "<html>\n<b>Bad</b>", ErrorKind::Unavailable, "status 502: <html> <b>Bad</b>"),
        (413, "", ErrorKind::TooLarge, "with status 413"),
        (404, "[1]", ErrorKind::NotFound, "with status 404"),
        (404, "{}", ErrorKind::NotFound, "with status 404"),
        (404, r#"{"error":7}"#, ErrorKind::NotFound, "with status 404"),
    ];
    for (status, body, kind, says) in cases {
        let error = failure("pull", status, body.as_bytes(), None);
        assert_eq!((error.kind(), error.retry_after()), (kind, None), "{body}");
        assert!(error.message().ends_with(says), "{error}");
    }
    let long = failure("pull", 503, "x\u{1b}[31m ".repeat(1000).as_bytes(), Some(Duration::from_secs(3)));
    assert!(long.message().len() < 400 && !long.message().contains('\u{1b}'));
    assert_eq!(long.retry_after(), Some(Duration::from_secs(3)));
}
