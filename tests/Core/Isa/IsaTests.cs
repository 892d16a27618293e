using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

public sealed class ForcedLevelTests(IsaLevel level) : IsaFixture(level)
{
    [Test]
    public void TheForcedLevelIsInForce() => Assert.That(Isa.Level, Is.EqualTo(Level));

    [Test]
    public void KernelsAreCompiledForIt()
    {
        Width width = default;
        Isa.Dispatch(ref width);
        Assert.That(width.Lanes, Is.EqualTo(Level switch { IsaLevel.Scalar => 1, IsaLevel.Portable => 4, IsaLevel.Avx2 => 8, _ => 16 }));
    }

    [Test]
    public void WorkersOfAPoolFollowTheCaller()
    {
        using WorkerPool pool = new(3);
        IsaLevel?[] levels = new IsaLevel?[3];
        using Barrier allThree = new(3);
        pool.Run(worker =>
        {
            allThree.SignalAndWait(TimeSpan.FromSeconds(30));
            levels[worker] = Isa.Level;
        });
        Assert.That(levels, Is.All.EqualTo(Level));

        Isa.Override = null;
        pool.Run(worker =>
        {
            allThree.SignalAndWait(TimeSpan.FromSeconds(30));
            levels[worker] = Isa.Level;
        });
        Assert.That(levels, Is.All.EqualTo(Isa.Level), "the level of an earlier call stuck to a worker");
    }

    [Test]
    public void OtherThreadsDoNotFollow()
    {
        IsaLevel? seen = null;
        Thread other = new(() => seen = Isa.Override);
        other.Start();
        other.Join();
        Assert.That(seen, Is.Null);
    }

    private struct Width : IWideAction
    {
        public int Lanes;

        public void Run<TWide>()
            where TWide : unmanaged, IWide<TWide> => Lanes = TWide.Lanes;
    }
}

public sealed class IsaTests
{
    [Test]
    public void AvailableLevelsEndWithTheDetectedOne()
    {
        Assert.That(Isa.Available, Is.Ordered.And.Unique);
        Assert.That(Isa.Available[0], Is.EqualTo(IsaLevel.Scalar));
        Assert.That(Isa.Available[^1], Is.EqualTo(Isa.Detected));
    }

    [Test]
    public void ScopesNestAndEndInAnyCase()
    {
        IsaLevel before = Isa.Level;
        using (Isa.Use(IsaLevel.Scalar))
        {
            Assert.That(Isa.Level, Is.EqualTo(IsaLevel.Scalar));
            Assert.That(Isa.Reason, Does.Contain("Isa.Use"));
            try
            {
                using (Isa.Use(Isa.Detected))
                {
                    Assert.That(Isa.Level, Is.EqualTo(Isa.Detected));
                    throw new InvalidTimeZoneException();
                }
            }
            catch (InvalidTimeZoneException)
            {
                Assert.That(Isa.Level, Is.EqualTo(IsaLevel.Scalar));
            }
        }

        Assert.That(Isa.Level, Is.EqualTo(before));
        Assert.That(Isa.Reason, Does.Not.Contain("Isa.Use"));
    }

    [Test]
    public void UseRefusesWhatTheProcessorLacksAndWhatIsNoLevel()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => Isa.Use((IsaLevel)4).Dispose());
        Assert.Throws<ArgumentOutOfRangeException>(() => Isa.Use((IsaLevel)(-1)).Dispose());
        Assert.That(Isa.Override, Is.Null);
        if (Isa.Detected == IsaLevel.Avx512)
            Assert.Ignore("skipped: this processor has every level");
        PlatformNotSupportedException refusal = Assert.Throws<PlatformNotSupportedException>(() => Isa.Use(Isa.Detected + 1).Dispose())!;
        Assert.That(refusal.Message, Does.Contain((Isa.Detected + 1).ToString()).And.Contain(Isa.Detected.ToString()));
        Assert.That(Isa.Override, Is.Null);
    }

    [TestCase("scalar", IsaLevel.Scalar)]
    [TestCase("SCALAR", IsaLevel.Scalar)]
    [TestCase(" Portable\t", IsaLevel.Portable)]
    public void TheVariableNamesALevel(string value, IsaLevel expected)
    {
        if (expected > Isa.Detected)
            Assert.Ignore($"skipped: this processor offers {Isa.Detected} at most");
        (IsaLevel level, string reason) = Isa.FromEnvironment(value);
        Assert.That(level, Is.EqualTo(expected));
        Assert.That(reason, Does.Contain("forced").And.Contain(Isa.EnvironmentVariable));
    }

    [TestCase(null)]
    [TestCase("")]
    [TestCase("  ")]
    public void WithoutTheVariableTheHighestLevelIsInForce(string? value)
    {
        (IsaLevel level, string reason) = Isa.FromEnvironment(value);
        Assert.That(level, Is.EqualTo(Isa.Detected));
        Assert.That(reason, Does.Not.Contain(Isa.EnvironmentVariable));
    }

    [TestCase("avx3")]
    [TestCase("1")]
    [TestCase("scalar,portable")]
    [TestCase("-")]
    public void AnUnknownNameIsIgnoredAndSaid(string value)
    {
        (IsaLevel level, string reason) = Isa.FromEnvironment(value);
        Assert.That(level, Is.EqualTo(Isa.Detected));
        Assert.That(reason, Does.Contain("ignored").And.Contain(value));
    }

    [Test]
    public void ALevelThatTheProcessorLacksIsIgnoredAndSaid()
    {
        if (Isa.Detected == IsaLevel.Avx512)
            Assert.Ignore("skipped: this processor has every level");
        string value = (Isa.Detected + 1).ToString();
        (IsaLevel level, string reason) = Isa.FromEnvironment(value);
        Assert.That(level, Is.EqualTo(Isa.Detected));
        Assert.That(reason, Does.Contain("ignored").And.Contain(value));
    }

    [Test]
    public void TheVariableForcesAProcess() =>
        Assert.That(ChildProgram.Run("level", (Isa.EnvironmentVariable, "scalar")), Does.StartWith($"Scalar; {Isa.Detected}; forced by"));

    /// <summary>Without AVX2 and FMA the wide levels would be emulated, slower than scalar code.</summary>
    [TestCase("DOTNET_EnableAVX2")]
    [TestCase("DOTNET_EnableAVX")]
    public void ARuntimeWithoutAvx2IsPortable(string knob)
    {
        if (Isa.Detected < IsaLevel.Avx2)
            Assert.Ignore("skipped: this processor has no AVX2");
        Assert.That(ChildProgram.Run("level", (knob, "0")), Does.StartWith("Portable; Portable; "));
    }

    [Test]
    public void ARuntimeWithoutAvx512UsesAvx2()
    {
        if (Isa.Detected < IsaLevel.Avx512)
            Assert.Ignore("skipped: this processor has no AVX-512");
        Assert.That(ChildProgram.Run("level", ("DOTNET_EnableAVX512", "0")), Does.StartWith("Avx2; Avx2; "));
    }
}
