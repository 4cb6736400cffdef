//! Workflows beyond their process.

use std::{fs, sync::Arc};

use proptest::prelude::*;
use synckit_machine::Note;
use synckit_resolve::workflow::{
    FileWorkflowStore, MemoryWorkflowStore, RuleVerdict, WorkflowFilter, WorkflowLimits, WorkflowRecord,
    WorkflowState, WorkflowStore, WorkflowStoreError, Workflows,
};

use crate::support::{DAY, aggregate, at, conflict_id, evaluation, resolved, review, small};

async fn open(store: &(impl WorkflowStore + Clone), now: u64) -> Workflows {
    Workflows::open(Arc::new(store.clone()), WorkflowLimits::default(), at(now)).await.unwrap()
}

/// One that ended, one that waits and one that is under way.
async fn three(workflows: &Workflows) {
    for name in ["done", "waits", "works"] {
        let run = workflows.start(&conflict_id(name), &aggregate(name), at(5)).unwrap();
        workflows.apply(&run, Note::new(), at(6)).unwrap();
        workflows.evaluated(&run, evaluation("rule", RuleVerdict::Matched)).unwrap();
        match name {
            "done" => workflows.end(&run, resolved(), at(7)).unwrap(),
            "waits" => workflows.end(&run, review(), at(7)).unwrap(),
            _ => {}
        }
    }
    workflows.flush().await.unwrap();
}

async fn comes_back(store: &(impl WorkflowStore + Clone)) {
    let before = open(store, 1).await;
    three(&before).await;
    let after = open(store, 9).await;
    for name in ["done", "waits"] {
        assert_eq!(after.get(&conflict_id(name)), before.get(&conflict_id(name)));
    }
    let interrupted = after.get(&conflict_id("works")).unwrap();
    assert_eq!((interrupted.state, interrupted.updated_at), (WorkflowState::Failed, at(9)));
    assert_eq!(interrupted.reasons(), ["the process ended before the resolver answered"]);
    after.flush().await.unwrap();
    let record = store.load(&conflict_id("works")).await.unwrap().unwrap();
    assert_eq!(record.summary(), interrupted);

    let run = after.run(&conflict_id("waits")).unwrap();
    after.end(&run, resolved(), at(10)).unwrap();
    after.flush().await.unwrap();
    let record = store.load(&conflict_id("waits")).await.unwrap().unwrap();
    assert_eq!(record.summary(), after.get(&conflict_id("waits")).unwrap());
    assert!(store.load(&conflict_id("nobody")).await.unwrap().is_none());

    after.start(&conflict_id("next"), &aggregate("next"), at(2 * DAY)).unwrap();
    after.flush().await.unwrap();
    let left: Vec<String> =
        store.list().await.unwrap().records.iter().map(|r| r.conflict().to_string()).collect();
    assert_eq!(left, ["next"]);
    assert!(!store.delete(&conflict_id("done")).await.unwrap());
    assert!(store.delete(&conflict_id("next")).await.unwrap());
}

#[tokio::test]
async fn workflows_come_back_from_memory() {
    comes_back(&MemoryWorkflowStore::new()).await;
}

#[tokio::test]
async fn workflows_come_back_from_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    comes_back(&FileWorkflowStore::open(folder.path().join("made/for/it")).unwrap()).await;
}

#[test]
fn a_folder_needs_no_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileWorkflowStore::open(folder.path()).unwrap();
    let mut work = std::pin::pin!(comes_back(&store));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(work.as_mut().poll(&mut context).is_ready());
}

#[tokio::test]
async fn any_conflict_id_is_a_safe_name() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    let store = FileWorkflowStore::open(&inside).unwrap();
    let workflows = open(&store, 1).await;
    let names = ["../../etc/passwd", "/", "..", "CON", "a:b*c?", "A", "a", &"ü".repeat(127)];
    for name in names {
        workflows.start(&conflict_id(name), &aggregate("a"), at(1)).unwrap();
    }
    workflows.flush().await.unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(fs::read_dir(&inside).unwrap().count(), names.len());
    for name in names {
        assert!(store.load(&conflict_id(name)).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn damage_is_named_and_stops_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileWorkflowStore::open(folder.path()).unwrap();
    three(&open(&store, 1).await).await;
    let mut paths: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort_unstable();
    let whole = fs::read(&paths[0]).unwrap();
    let damage: Vec<Vec<u8>> = vec![
        Vec::new(),
        whole[..whole.len() / 2].to_vec(),
        b"\xff\xfe".to_vec(),
        String::from_utf8(whole.clone()).unwrap().replacen("\"version\":1", "\"version\":9", 1).into_bytes(),
        fs::read(&paths[1]).unwrap(),
    ];
    let lost: WorkflowRecord = serde_json::from_slice(&whole).unwrap();
    fs::write(folder.path().join("left-behind.tmp"), "{").unwrap();
    for bytes in damage {
        fs::write(&paths[0], bytes).unwrap();
        let found = store.list().await.unwrap();
        assert_eq!((found.records.len(), found.damaged.len()), (2, 1));
        let named = paths[0].display().to_string();
        let WorkflowStoreError::Damaged { document, .. } = &found.damaged[0] else { panic!("{found:?}") };
        assert_eq!(*document, named);
        assert!(store.load(lost.conflict()).await.unwrap_err().to_string().starts_with(&named));
        assert_eq!(open(&store, 9).await.list(&WorkflowFilter::default()).len(), 2);
    }
}

#[tokio::test]
async fn a_record_whose_machine_does_not_fit_is_left_out() {
    let store = MemoryWorkflowStore::new();
    three(&open(&store, 1).await).await;
    let record = store.load(&conflict_id("done")).await.unwrap().unwrap();
    let mut changed = serde_json::to_value(&record).unwrap();
    changed["machine"]["state"] = "escalated".into();
    store.save(&serde_json::from_value(changed).unwrap()).await.unwrap();
    let after = open(&store, 9).await;
    assert!(after.get(&conflict_id("done")).is_none());
    assert_eq!(after.list(&WorkflowFilter::default()).len(), 2);
}

#[tokio::test]
async fn what_is_too_old_or_too_much_is_deleted_when_a_store_is_opened() {
    let store = MemoryWorkflowStore::new();
    three(&open(&store, 1).await).await;
    let limits = small(10, 1);
    let workflows = Workflows::open(Arc::new(store.clone()), limits, at(9)).await.unwrap();
    workflows.flush().await.unwrap();
    let left = store.list().await.unwrap().records;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].summary().state, WorkflowState::ManualReview);
}

proptest! {
    #[test]
    fn a_record_says_the_same_after_json(rules in proptest::collection::vec(".{0,20}", 0..5), id in "[^\\p{Cc}]{1,40}") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = MemoryWorkflowStore::new();
            let workflows = open(&store, 1).await;
            let run = workflows.start(&conflict_id(&id), &aggregate("a"), at(1)).unwrap();
            for rule in &rules {
                workflows.evaluated(&run, evaluation(rule, RuleVerdict::NotMatched)).unwrap();
            }
            workflows.flush().await.unwrap();
            let record = store.load(&conflict_id(&id)).await.unwrap().unwrap();
            let text = serde_json::to_string(&record).unwrap();
            let read: WorkflowRecord = serde_json::from_str(&text).unwrap();
            assert_eq!(read.summary(), workflows.get(&conflict_id(&id)).unwrap());
            assert_eq!(read, record);
        });
    }
}
