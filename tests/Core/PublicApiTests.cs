using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

public sealed class PublicApiTests
{
    [Test]
    public void ThePublicSurfaceIsTheReviewedOne() => PublicApiText.AssertUnchanged(typeof(Isa).Assembly, "tests/Core/PublicApi.txt");

    /// <summary>The printer itself, on types that have one of everything.</summary>
    [Test]
    public void MembersAreWrittenInTheWordsOfTheLanguage()
    {
        string[] lines = PublicApiText.Of(typeof(PublicApiSample<>).Assembly).Split('\n');
        int start = Array.IndexOf(lines, "sealed class EmbeddingKernels.Core.Tests.PublicApiSample<T> : IDisposable where T : unmanaged");
        Assert.That(start, Is.GreaterThanOrEqualTo(0));
        Assert.That(lines[(start + 1)..Array.IndexOf(lines, "", start)].Select(line => line.Trim()), Is.EqualTo(new[]
        {
            "PublicApiSample(int size, string? name = null)",
            "T* Pointer { get; }",
            "const int Limit = 3",
            "override string ToString()",
            "ref T this[nint index] { get; }",
            "required string Name { get; init; }",
            "static Dictionary<string, List<int?>>? Find<TKey>(in TKey key, out ReadOnlySpan<float> values, IsaLevel level = IsaLevel.Avx2, params int[] rest) where TKey : class, new()",
            "static int op_Addition(PublicApiSample<T>? a, int b)",
            "void Dispose()",
        }));
    }

    [Test]
    public void ADifferenceShowsTheLinesAndTheirType()
    {
        string[] before = ["class A", "    int X", "    int Y", "", "class B", "    int Z", ""];
        string[] now = ["class A", "    int X", "    long Y", "", "class B", "    int Z", "", "class C", ""];
        Assert.That(PublicApiText.Difference(before, now), Is.EqualTo("  class A\n-     int Y\n+     long Y\n+ class C\n"));
    }
}

/// <summary>What the printer is tried on.</summary>
public sealed unsafe class PublicApiSample<T> : IDisposable
    where T : unmanaged
{
    public const int Limit = 3;

    private readonly T[] _items;

    public PublicApiSample(int size, string? name = null)
    {
        _items = new T[size];
        Hidden = name;
    }

    public required string Name { get; init; }

    public T* Pointer => null;

    internal string? Hidden { get; private set; }

    public ref T this[nint index] => ref _items[index];

    public static int operator +(PublicApiSample<T>? a, int b) => a is null ? b : a._items.Length + b;

    public static Dictionary<string, List<int?>>? Find<TKey>(in TKey key, out ReadOnlySpan<float> values, IsaLevel level = IsaLevel.Avx2, params int[] rest)
        where TKey : class, new()
    {
        values = level > IsaLevel.Avx2 ? default : new float[rest.Length];
        return key is null ? null : [];
    }

    public override string ToString() => Name;

    public void Dispose() => Hidden = null;
}
