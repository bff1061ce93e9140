// Most tests wait for a network or a disk, not for a core; more at once would make the few that watch a clock late.
[assembly: CollectionBehavior(MaxParallelThreads = 3)]
[assembly: TestCollectionOrderer("SimpleChat.Tests.LongestFirst", "SimpleChat.Tests")]
