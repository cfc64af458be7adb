//! Every promise, on every backend of this crate.

#![expect(clippy::unwrap_used, reason = "tests")]

mod memory {
    use std::sync::Arc;

    use surefoot_store::conformance::Fixture;
    use surefoot_store::{MemoryStore, Store};

    struct Memory;

    #[async_trait::async_trait]
    impl Fixture for Memory {
        async fn fresh(&self) -> Arc<dyn Store> {
            Arc::new(MemoryStore::new())
        }

        async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
            store
        }
    }

    surefoot_store::conformance_suite!(Memory);
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use surefoot_store::conformance::Fixture;
    use surefoot_store::{Mode, SqliteStore, Store};

    struct Files {
        directory: tempfile::TempDir,
        made: AtomicU32,
    }

    impl Files {
        fn new() -> Files {
            Files { directory: tempfile::tempdir().unwrap(), made: AtomicU32::new(0) }
        }

        fn open(path: PathBuf) -> Arc<dyn Store> {
            let mode = Mode::Owner { program: "test".to_owned() };
            Arc::new(SqliteStore::open(&path, mode).unwrap())
        }
    }

    #[async_trait::async_trait]
    impl Fixture for Files {
        async fn fresh(&self) -> Arc<dyn Store> {
            let number = self.made.fetch_add(1, Ordering::Relaxed);
            Files::open(self.directory.path().join(format!("{number}.db")))
        }

        async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
            store.close().await.unwrap();
            let last = self.made.load(Ordering::Relaxed) - 1;
            Files::open(self.directory.path().join(format!("{last}.db")))
        }
    }

    surefoot_store::conformance_suite!(Files::new());
}
