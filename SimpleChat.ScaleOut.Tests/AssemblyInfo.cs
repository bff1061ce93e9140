// Most tests wait for a network or a disk, not for a core.
[assembly: CollectionBehavior(MaxParallelThreads = 3)]
