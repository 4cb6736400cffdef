//! What has a text form has one only.

use synckit_core::{Hash, LogCursor, Progress, VectorCursor, limits::MAX_COUNTER};

const LOG: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn a_hash_is_64_lower_case_digits() {
    let text = Hash::of(b"abc").to_string();
    assert_eq!(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(text.parse::<Hash>().unwrap(), Hash::of(b"abc"));
    for bad in [text.to_uppercase(), text.replacen("ba", "+a", 1), text[1..].to_owned(), format!("{text}0")] {
        assert!(bad.parse::<Hash>().is_err(), "{bad}");
    }
}

#[test]
fn a_cursor_has_one_text() {
    let hash = Hash::of(b"abc");
    let good = format!("{LOG}.17.{hash}");
    assert_eq!(good.parse::<LogCursor>().unwrap().to_string(), good);
    let bad = [
        String::new(),
        "..".to_owned(),
        format!("{LOG}.17"),
        format!("{LOG}.+17.{hash}"),
        format!("{LOG}.017.{hash}"),
        format!("{LOG}.-1.{hash}"),
        format!("{LOG}.{}.{hash}", MAX_COUNTER + 1),
        format!("{}.17.{hash}", LOG.to_uppercase()),
        format!("{good}.1"),
        format!(" {good}"),
    ];
    for text in bad {
        assert!(text.parse::<LogCursor>().is_err(), "{text}");
    }
}

#[test]
fn a_rejected_cursor_is_not_repeated_at_length() {
    let long = "é".repeat(100_000);
    for text in [long.clone(), format!("x{long}")] {
        assert!(text.parse::<LogCursor>().unwrap_err().to_string().len() < 1000);
    }
}

#[test]
fn the_hash_over_an_origins_ids_is_32_lower_case_digits() {
    let progress = Progress { counter: 3, gaps: vec![(1, 2)], ids: 5, ..Progress::default() };
    let text = serde_json::to_string(&progress).unwrap();
    assert_eq!(serde_json::from_str::<Progress>(&text).unwrap(), progress);
    for ids in ["5", "+0000000000000000000000000000005", "0000000000000000000000000000000A"] {
        let text = format!("{{\"counter\":3,\"ids\":\"{ids}\"}}");
        assert!(serde_json::from_str::<Progress>(&text).is_err(), "{text}");
    }
}

#[test]
fn a_vector_cursor_has_gaps_below_its_counters_only() {
    let text = |gaps: &str| {
        format!("{{\"{LOG}\":{{\"counter\":9,\"gaps\":{gaps},\"ids\":\"{}\"}}}}", "0".repeat(32))
    };
    for good in ["[]", "[[1,1]]", "[[1,2],[4,8]]"] {
        assert!(serde_json::from_str::<VectorCursor>(&text(good)).is_ok(), "{good}");
    }
    for bad in
        ["[[0,1]]", "[[2,1]]", "[[1,2],[2,3]]", "[[3,4],[1,1]]", "[[1,10]]", "[[1,9]]", "[[1,2],[3,4]]"]
    {
        assert!(serde_json::from_str::<VectorCursor>(&text(bad)).is_err(), "{bad}");
    }
}
