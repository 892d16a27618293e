using System.Diagnostics;

namespace EmbeddingKernels.Bench;

/// <summary>Two pieces of work timed in turn, so that whatever else the machine does meets both.</summary>
internal sealed class Duel
{
    private readonly List<double> _ours = [];
    private readonly List<double> _peers = [];
    private readonly List<double> _ratios = [];
    private double _ourCpu;
    private double _peerCpu;
    private int _calls;

    /// <summary>Times <paramref name="ours"/> and <paramref name="peer"/> (may be missing) in turn, after one call of each for warmth.</summary>
    public Duel(int rounds, int callsPerRound, Action ours, Action? peer)
    {
        ours();
        peer?.Invoke();
        for (int round = 0; round < rounds; round++)
        {
            double mine = Time(ours, callsPerRound, ref _ourCpu);
            _ours.Add(mine);
            if (peer is not null)
            {
                double theirs = Time(peer, callsPerRound, ref _peerCpu);
                _peers.Add(theirs);
                _ratios.Add(theirs / mine);
            }

            _calls += callsPerRound;
        }
    }

    /// <summary>Median wall seconds of a call of ours.</summary>
    public double Ours => Median(_ours);

    /// <summary>CPU seconds of a call of ours, over all calls.</summary>
    public double OurCpu => _ourCpu / _calls;

    /// <summary>Median wall seconds of a call of the peer.</summary>
    public double Peer => Median(_peers);

    /// <summary>CPU seconds of a call of the peer, over all calls.</summary>
    public double PeerCpu => _peerCpu / _calls;

    /// <summary>The median over the rounds of how many times faster we were.</summary>
    public double Ratio => Median(_ratios);

    private static double Time(Action work, int calls, ref double cpu)
    {
        double cpuBefore = CpuTime.OfThisProcess;
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < calls; i++)
            work();
        double wall = Stopwatch.GetElapsedTime(start).TotalSeconds;
        cpu += CpuTime.OfThisProcess - cpuBefore;
        return wall / calls;
    }

    private static double Median(List<double> values)
    {
        if (values.Count == 0)
            return double.NaN;
        double[] sorted = [.. values.Order()];
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
