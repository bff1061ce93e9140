using Microsoft.Extensions.Time.Testing;

namespace SimpleChat.Tests;

/// <summary>What one user may have of the server.</summary>
public sealed class UserShareTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly ChatOptions _options = new();

    [Fact]
    public void I8_Work_beyond_the_share_makes_a_debt_that_time_pays_and_the_burst_comes_back()
    {
        var share = new UserShare("mallory", _options, _time);
        share.Charge(1000); // a burst of a third of a second
        Assert.Equal(TimeSpan.Zero, share.Debt);
        share.Charge(1500);
        Assert.Equal(0.5, share.Debt.TotalSeconds, tolerance: 0.01);

        _time.Advance(TimeSpan.FromSeconds(0.5));
        Assert.Equal(TimeSpan.Zero, share.Debt);
        _time.Advance(TimeSpan.FromSeconds(100));
        share.Charge(1001);
        Assert.InRange(share.Debt, TimeSpan.FromTicks(1), TimeSpan.FromMilliseconds(2)); // no more than the burst was saved
    }

    [Fact]
    public async Task I8_A_user_who_sends_as_fast_and_as_much_as_is_allowed_is_never_in_debt()
    {
        var share = new UserShare("alice", _options, _time);
        for (var i = 0; i < 60 * _options.MessagesPerSecond; i++)
        {
            Assert.True(await share.TakeMessageAsync());
            share.Charge(Work.Frame(_options.MaxMessageBytes, _options.MaxMessageBytes));
            _time.Advance(TimeSpan.FromSeconds(1) / _options.MessagesPerSecond);
            Assert.Equal(TimeSpan.Zero, share.Debt);
        }
    }

    [Fact]
    public void Only_so_many_requests_of_a_user_are_under_way_at_once()
    {
        var share = new UserShare("alice", new ChatOptions { RequestsPerUser = 2 }, _time);
        Assert.True(share.TryBeginRequest(Work.Request));
        Assert.True(share.TryBeginRequest(Work.Request));
        Assert.False(share.TryBeginRequest(Work.Request));
        share.EndRequest();
        Assert.True(share.TryBeginRequest(Work.Request));
    }

    [Fact]
    public void I8_Who_leaves_in_debt_and_comes_back_is_in_debt_still_and_who_is_as_good_as_new_is_forgotten()
    {
        using var shares = new UserShares(_options, _time);
        var first = shares.Hold("mallory");
        first.Charge(30_000);
        first.Release();
        _time.Advance(TimeSpan.FromSeconds(6)); // it is looked for shares that nobody needs
        Assert.Same(first, shares.Hold("mallory"));

        _time.Advance(TimeSpan.FromSeconds(60));
        Assert.Same(first, shares.Hold("mallory")); // held
        first.Release();
        first.Release();
        _time.Advance(TimeSpan.FromSeconds(6));
        Assert.NotSame(first, shares.Hold("mallory"));
    }
}
