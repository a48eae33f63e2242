//! What every place for checkpoints promises.

use crate::source::mapping::{Checkpoint, Checkpoints, ShardId, WindowState};

const STREAM: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/T/stream/2026-11-21T00:00:00.000";
const OTHER: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/T/stream/2026-11-22T00:00:00.000";

/// Runs the suite on a place that keeps nothing yet; run it against yours as well.
///
/// # Panics
/// With a sentence that says which promise of the port did not hold.
pub async fn checkpoints_conform(checkpoints: &dyn Checkpoints) {
    let suite = Suite { checkpoints };
    suite.nothing_is_kept_at_first().await;
    suite.what_is_kept_comes_back_as_it_was().await;
    suite.groups_and_streams_are_told_apart().await;
    suite.a_position_never_moves_back().await;
    suite.positions_are_numbers().await;
    suite.what_is_finished_stays_so().await;
    suite.many_shards_are_kept_at_once().await;
    suite.those_that_are_behind_hold_up_no_other().await;
}

struct Suite<'a> {
    checkpoints: &'a dyn Checkpoints,
}

fn checkpoint(shard: &str, sequence: Option<&str>) -> Checkpoint {
    Checkpoint {
        shard: shard.into(),
        sequence: sequence.map(Into::into),
        finished: false,
        since: None,
        idle_at: None,
        window: None,
        beginning: None,
        updated_at: 1_763_692_800_005_999_999,
    }
}

impl Suite<'_> {
    async fn save(&self, group: &str, checkpoints: &[Checkpoint]) {
        self.checkpoints.save(group, STREAM, checkpoints).await.expect("checkpoints that can be saved");
    }

    async fn load(&self, group: &str) -> Vec<Checkpoint> {
        let mut kept = self.checkpoints.load(group, STREAM).await.expect("checkpoints that can be loaded");
        kept.sort_by(|one, other| one.shard.cmp(&other.shard));
        kept
    }

    async fn nothing_is_kept_at_first(&self) {
        assert!(self.load("first").await.is_empty(), "a group that has kept nothing has nothing");
        self.save("first", &[]).await;
        assert!(self.load("first").await.is_empty(), "no checkpoints are none");
    }

    async fn what_is_kept_comes_back_as_it_was(&self) {
        let whole = Checkpoint {
            since: Some(1_763_692_800_005_999_999),
            idle_at: Some(i64::MAX),
            window: Some(WindowState { start: -10, state: r#"{"n":1}"#.to_owned() }),
            beginning: Some(1_763_692_800_005_000_000),
            ..checkpoint("a", Some("100000000000000000001"))
        };
        let bare = checkpoint("b", None);
        let finished = Checkpoint { finished: true, ..checkpoint("c", Some("7")) };
        let all = [whole, bare, finished];
        self.save("whole", &all).await;
        assert_eq!(self.load("whole").await, all, "every part of a checkpoint is kept");
        let later =
            Checkpoint { updated_at: 2_000_000_000_000_000_000, window: None, beginning: None, ..all[0].clone() };
        self.save("whole", std::slice::from_ref(&later)).await;
        assert_eq!(self.load("whole").await[0], later, "the same position can be kept with something else");
    }

    async fn groups_and_streams_are_told_apart(&self) {
        self.save("one", &[checkpoint("s", Some("1"))]).await;
        self.save("one#", &[checkpoint("s", Some("2"))]).await;
        self.checkpoints.save("one", OTHER, &[checkpoint("s", Some("3"))]).await.expect("another stream");
        for (group, stream, sequence) in [("one", STREAM, "1"), ("one#", STREAM, "2"), ("one", OTHER, "3")] {
            let kept = self.checkpoints.load(group, stream).await.expect("checkpoints that can be loaded");
            assert_eq!(kept, [checkpoint("s", Some(sequence))], "{group} of {stream}");
        }
        assert!(self.load("on").await.is_empty(), "the beginning of a name is another name");
    }

    async fn a_position_never_moves_back(&self) {
        self.save("late", &[checkpoint("s", Some("20"))]).await;
        for late in [Some("19"), Some("1"), None] {
            self.save("late", &[checkpoint("s", late)]).await;
            assert_eq!(self.load("late").await, [checkpoint("s", Some("20"))], "{late:?} comes too late");
        }
        self.save("late", &[checkpoint("s", Some("21"))]).await;
        assert_eq!(self.load("late").await, [checkpoint("s", Some("21"))], "forward is the way");
    }

    async fn positions_are_numbers(&self) {
        let forty = "9".repeat(40);
        let ascending = ["9", "10", "99999999999999999999", "100000000000000000000", &forty];
        for sequence in ascending {
            self.save("numbers", &[checkpoint("s", Some(sequence))]).await;
            let kept = self.load("numbers").await;
            assert_eq!(kept, [checkpoint("s", Some(sequence))], "{sequence} is the greatest so far");
        }
    }

    async fn what_is_finished_stays_so(&self) {
        let finished = Checkpoint { finished: true, ..checkpoint("s", Some("5")) };
        self.save("finished", &[checkpoint("s", Some("5"))]).await;
        self.save("finished", std::slice::from_ref(&finished)).await;
        self.save("finished", &[checkpoint("s", Some("5"))]).await;
        self.save("finished", &[checkpoint("s", Some("6"))]).await;
        assert_eq!(self.load("finished").await, [finished], "nothing comes behind the end");
    }

    async fn many_shards_are_kept_at_once(&self) {
        let shard = |n: usize| checkpoint(&format!("shard-{n:04}"), Some("1"));
        let all: Vec<_> = (0..250).map(shard).collect();
        self.save("many", &all).await;
        assert_eq!(self.load("many").await, all, "all of {} shards", all.len());
    }

    async fn those_that_are_behind_hold_up_no_other(&self) {
        let at = |sequence: &str, shards: &[&str]| -> Vec<Checkpoint> {
            shards.iter().map(|shard| checkpoint(shard, Some(sequence))).collect()
        };
        self.save("mixed", &at("5", &["a", "c"])).await;
        self.save("mixed", &at("4", &["a", "b", "c", "d"])).await;
        let kept: Vec<(ShardId, String)> = self.load("mixed").await.into_iter().map(read).collect();
        let expected = [("a", "5"), ("b", "4"), ("c", "5"), ("d", "4")];
        assert_eq!(kept, expected.map(|(shard, sequence)| (shard.into(), sequence.to_owned())), "each by itself");
    }
}

fn read(checkpoint: Checkpoint) -> (ShardId, String) {
    (checkpoint.shard, checkpoint.sequence.expect("it has one").to_string())
}
