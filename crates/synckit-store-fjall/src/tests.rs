//! Damage in the engine's own files, once tables have been written out.

use std::path::{Path, PathBuf};

use synckit_core::{
    ErrorKind, Event, EventStore,
    store::{LogEntry, ReadRequest, StoreMaintenance as _, Write},
};

use crate::{FjallConfig, FjallStore, error::from_fjall};

fn events(from: usize, count: usize) -> Write {
    let event =
        |n| Event::new("t", format!("a-{n}"), &"x".repeat(300)).unwrap().with_id(format!("e-{n}")).unwrap();
    Write::Append((from..from + count).map(event).collect())
}

/// Has the engine write out what it holds in memory.
async fn write_out(store: &FjallStore) {
    store
        .with_engine("test", |engine| {
            let t = &engine.tables;
            for table in [&t.entries, &t.ids, &t.positions, &t.stamps, &t.heads, &t.small] {
                table.rotate_memtable_and_wait().map_err(from_fjall("test"))?;
            }
            Ok(())
        })
        .await
        .unwrap();
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()) {
        if file.is_dir() {
            found.extend(files(&file));
        } else {
            found.push(file);
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(&file, target).unwrap();
    }
}

/// What can be read, and whether something is known to be wrong.
async fn look(path: &Path) -> (Vec<LogEntry>, bool) {
    let store = match FjallStore::open(FjallConfig::at(path)).await {
        Ok(store) => store,
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported), "{error}");
            return (Vec::new(), true);
        }
    };
    let integrity = store.integrity().await;
    let (mut found, mut request) = (Vec::new(), ReadRequest::default().limit(20));
    let whole = loop {
        match store.read(request.clone()).await {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                break false;
            }
            Ok(page) => {
                found.extend(page.entries);
                request.after = page.next.position;
                if !page.has_more {
                    break true;
                }
            }
        }
    };
    // To close a store whose engine gave up may fail.
    let _ = store.close().await;
    (found, !whole || integrity.map_or(true, |findings| !findings.is_empty()))
}

#[tokio::test]
async fn damaged_tables_never_give_wrong_data() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events");
    let store = FjallStore::create(FjallConfig::at(&path)).await.unwrap();
    store.write(events(0, 100)).await.unwrap();
    write_out(&store).await;
    store.write(events(100, 100)).await.unwrap();
    write_out(&store).await;
    store.write(events(200, 50)).await.unwrap();
    store.close().await.unwrap();
    let (entries, wrong) = look(&path).await;
    assert!(entries.len() == 250 && !wrong);
    let tables = path.join("engine").join("keyspaces");
    assert!(files(&tables).iter().any(|f| f.metadata().unwrap().len() > 20_000));
    for file in files(&tables) {
        let within = file.strip_prefix(&path).unwrap();
        let whole = std::fs::read(&file).unwrap();
        for n in 0..8 {
            let at = whole.len().saturating_sub(1) * n / 7;
            for cut in [true, false] {
                let damaged = folder.path().join("damaged");
                copy(&path, &damaged);
                let mut bytes = whole.clone();
                match bytes.get_mut(at) {
                    Some(byte) if !cut => *byte ^= 1 << n,
                    _ => bytes.truncate(at),
                }
                std::fs::write(damaged.join(within), bytes).unwrap();
                let (read, wrong) = look(&damaged).await;
                let what = format!("{} {} at {at}", within.display(), if cut { "cut" } else { "flipped" });
                assert!(wrong || read.len() == entries.len(), "{what}: not noticed");
                for entry in read {
                    let index = usize::try_from(entry.position).unwrap() - 1;
                    assert_eq!(entry, entries[index], "{what}");
                }
                std::fs::remove_dir_all(damaged).unwrap();
            }
        }
    }
}

/// Below the checksums of the engine, too.
#[tokio::test]
async fn a_flipped_bit_in_a_row_is_found_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = FjallStore::create(FjallConfig::at(folder.path().join("events"))).await.unwrap();
    store.write(events(0, 10)).await.unwrap();
    store
        .with_engine("test", |engine| {
            let entries = &engine.tables.entries;
            let key = crate::keys::position(7);
            let mut row = entries.get(key).map_err(from_fjall("test"))?.unwrap().to_vec();
            let middle = row.len() / 2;
            row[middle] ^= 0x10;
            entries.insert(key, row).map_err(from_fjall("test"))
        })
        .await
        .unwrap();
    let error = store.read(ReadRequest::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.message().contains("entry at 7") && error.message().contains("synckit doctor"), "{error}");
    assert_eq!(
        store.read(ReadRequest::default().limit(6)).await.unwrap().entries.len(),
        6,
        "the others can be"
    );
    assert_eq!(store.read(ReadRequest::after(7)).await.unwrap().entries.len(), 3);
    let found = store.integrity().await.unwrap();
    assert!(found.iter().any(|line| line.starts_with("entries: 7")), "{found:?}");
    store.close().await.unwrap();
}
