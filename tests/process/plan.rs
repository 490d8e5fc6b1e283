//! A dry run over the log that the program itself has written.

use crate::child::{End, House, Program, soon};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Serves a few exchanges of two clients, and keeps what was said as a log.
async fn log_of_a_day(house: &House) -> PathBuf {
    let program = house.start().await;
    for (client, count) in [("canary-a", 3), ("canary-b", 2)] {
        for _ in 0..count {
            let chat = program.chat("sim", json!({"max_tokens": 50, "user": "canary-user"}));
            let chat = chat.header("x-session-id", client).header("authorization", "Bearer canary-key");
            let answer = soon(chat.send()).await.expect("it answers");
            assert_eq!(answer.status(), 200);
            answer.bytes().await.expect("the answer ends");
        }
    }
    let refused = soon(program.chat("no/such-model", json!({"n": 0})).send()).await.expect("it answers");
    assert_eq!(refused.status(), 400);
    program.signal("TERM").await;
    let said = program.ended().await.said;
    assert!(!said.contains("canary"), "{said}");
    assert!(said.contains(r#""client":"address:127.0.0.1""#), "who says nothing is its address: {said}");
    let path = house.folder.path().join("day.log");
    std::fs::write(&path, said).expect("the folder can be written");
    path
}

async fn plan(house: &House, arguments: &[&str]) -> End {
    Program::spawn(house.command(&[&["plan"], arguments].concat())).ended().await
}

#[tokio::test]
async fn its_own_log_is_replayed_under_other_limits() {
    let house = House::new().await;
    let log = log_of_a_day(&house).await;
    let said = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let lines: Vec<&Value> = lines.iter().filter(|line| line["message"] == "exchange").collect();
    assert_eq!(lines.len(), 5, "{said}");
    let distinct = |field: &str| {
        let values = lines.iter().map(|line| line[field].as_str().expect("a text").to_owned());
        values.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(distinct("client").len(), 2, "two sessions");
    assert_eq!(distinct("client_key").len(), 1, "of one key");
    assert_eq!(distinct("priority").into_iter().collect::<Vec<_>>(), ["normal"]);

    let log = log.to_str().unwrap();
    // A limit so low that it does not matter how fast this machine is.
    let slow = ["--limits", "sim:requests_per_minute=1", "--max-wait", "10m", "--json"];
    let end = plan(&house, &[&["--log", log], slow.as_slice()].concat()).await;
    assert_eq!(end.code, Some(0), "{}", end.said);
    let report: Value = serde_json::from_str(&end.said).expect("nothing but JSON is said");
    let planned = &report["providers"]["sim"];
    assert_eq!((&planned["exchanges"], &planned["waited"]), (&json!(5), &json!(4)), "{report}");
    let longest = planned["wait_ms"]["max"].as_u64().unwrap();
    assert!((180_000..=240_000).contains(&longest), "one a minute: {report}");
    assert_eq!(planned["limits"], json!({"requests_per_minute": 1}));
    assert_eq!(planned["without_waiting"], json!({"refusals": 12, "failed": 4}));
    assert_eq!(report["bad_lines"], 0);

    let config = house.config();
    let arguments = ["--log", log, "--config", config.to_str().unwrap(), "--within", "1s"];
    let end = plan(&house, &arguments).await;
    assert_eq!(end.code, Some(0), "{}", end.said);
    for part in ["5 exchanges over", "sim, without a limit", "no 429", "p99 0s"] {
        assert!(end.said.contains(part), "{part}: {}", end.said);
    }
}

#[tokio::test]
async fn what_cannot_be_replayed_is_said() {
    let house = House::new().await;
    let file = house.folder.path().join("some.log");
    let text = "hello\n{\"message\":\"exchange\",\"timestamp\":7}\n";
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let limits = ["--limits", "concurrent=1"];
    let end = plan(&house, &[&["--log", file], limits.as_slice()].concat()).await;
    assert_eq!(end.code, Some(65), "{}", end.said);
    assert!(end.said.contains("the first is line 2") && end.said.contains("no exchange found in 2 lines"));
    let end = plan(&house, &[&["--log", "-"], limits.as_slice()].concat()).await;
    assert_eq!(end.code, Some(65), "{}", end.said);
    let end = plan(&house, &[&["--log", "/nowhere/at-all.log"], limits.as_slice()].concat()).await;
    assert_eq!(end.code, Some(66), "{}", end.said);
    for wrong in
        [&["--log", file][..], &["--log", file, "--limits", "tokens=1"], &["--limits", "concurrent=1"]]
    {
        assert_eq!(plan(&house, wrong).await.code, Some(2), "{wrong:?}");
    }
}
