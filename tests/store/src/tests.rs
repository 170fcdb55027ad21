//! The same client as Weir's speaks to it.

use futures::{StreamExt, TryStreamExt, future::join_all};
use object_store::{
    Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    aws::AmazonS3Builder, path::Path,
};

use super::*;

async fn client() -> impl ObjectStore {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    #[expect(clippy::disallowed_methods, reason = "the test's runtime ends it")]
    tokio::spawn(async move { axum::serve(listener, router(Pace::default())).await });
    AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_bucket_name("weir")
        .with_access_key_id("test")
        .with_secret_access_key("test")
        .build()
        .unwrap()
}

#[tokio::test]
async fn one_of_many_creates_wins() {
    let store = client().await;
    let key = Path::from("a/b");
    let create = |n: u8| {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        store.put_opts(&key, vec![n].into(), options)
    };
    let created = join_all((0..16).map(create)).await;
    let lost = created.iter().filter(|it| matches!(it, Err(Error::AlreadyExists { .. }))).count();
    assert_eq!((created.iter().filter(|it| it.is_ok()).count(), lost), (1, 15));
    let winner = created.iter().position(Result::is_ok).unwrap();
    assert_eq!(store.get(&key).await.unwrap().bytes().await.unwrap(), vec![winner as u8]);
}

#[tokio::test]
async fn objects_are_read_whole_and_in_part_listed_and_deleted() {
    let store = client().await;
    for n in 0..1_500 {
        let key = Path::from(format!("x/{:04}/{n}", n % 3));
        store.put(&key, format!("body of {n}").into()).await.unwrap();
    }
    let key = Path::from("x/0001/4");
    let part = async |range| {
        let options = GetOptions { range: Some(range), ..GetOptions::default() };
        store.get_opts(&key, options).await.unwrap().bytes().await.unwrap()
    };
    assert_eq!(part(GetRange::Bounded(0..4)).await, "body");
    assert_eq!(part(GetRange::Bounded(5..100)).await, "of 4");
    assert_eq!(part(GetRange::Suffix(1)).await, "4");
    assert_eq!(store.head(&key).await.unwrap().size, 9);
    let listed: Vec<_> = store.list(Some(&Path::from("x"))).try_collect().await.unwrap();
    assert_eq!(listed.len(), 1_500);
    let head = store.head(&key).await.unwrap();
    let ago = SystemClock.now().0 - head.last_modified.timestamp_millis();
    assert!((0..60_000).contains(&ago), "{ago} ms");
    assert!(listed.iter().any(|it| it.last_modified == head.last_modified));
    let behind = store.list_with_offset(Some(&Path::from("x/0002")), &Path::from("x/0002/5"));
    let behind: Vec<_> = behind.try_collect().await.unwrap();
    assert!(behind.iter().all(|it| it.location.as_ref() > "x/0002/5") && !behind.is_empty());
    let folders = store.list_with_delimiter(Some(&Path::from("x"))).await.unwrap();
    assert_eq!((folders.common_prefixes.len(), folders.objects.len()), (3, 0));

    let all = futures::stream::iter(listed.into_iter().map(|it| Ok(it.location))).boxed();
    store.delete_stream(all).try_for_each(|_| async { Ok(()) }).await.unwrap();
    assert!(matches!(store.get(&key).await, Err(Error::NotFound { .. })));
    assert_eq!(store.list(None).count().await, 0);
}
