using FsCheck;
using FsCheck.Fluent;

namespace EmbeddingKernels.Core.Tests;

[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class EmbeddingLookupValidationTests : IDisposable
{
    private const int Rows = 10;
    private const int Columns = 4;
    private const float Untouched = 77f;

    private readonly AlignedBuffer<float> _table = new(Rows * Columns);
    private readonly AlignedBuffer<float> _destination = new(100 * Columns);

    public EmbeddingLookupValidationTests() => _destination.AsSpan().Fill(Untouched);

    public void Dispose()
    {
        _table.Dispose();
        _destination.Dispose();
    }

    [TearDown]
    public void NothingIsWrittenBeforeAllChecksHavePassed() =>
        Assert.That(_destination.AsSpan().ToArray(), Is.All.EqualTo(Untouched));

    private MatrixView<float> Table => new(_table.Pointer, Rows, Columns);

    private MatrixView<float> Destination(int rows, int columns = Columns) => new(_destination.Pointer, rows, columns);

    [Test]
    public void AnIndexOutsideTheTableIsNamedWithPositionAndValue(
        [Values(1, 7, 8, 9, 31, 32, 33, 100)] int count, [Values(Rows, -1, int.MaxValue, int.MinValue)] int wrong, [Values] bool longs)
    {
        for (int position = 0; position < count; position++)
        {
            int[] indices = [.. Enumerable.Range(0, count).Select(i => i == position ? wrong : i % Rows)];
            long[] longIndices = [.. indices.Select(i => (long)i)];
            ArgumentOutOfRangeException error = Assert.Throws<ArgumentOutOfRangeException>(() =>
            {
                if (longs)
                    EmbeddingLookup.Gather(Table, longIndices, Destination(count));
                else
                    EmbeddingLookup.Gather(Table, indices, Destination(count));
            })!;
            Assert.That((error.ParamName, Convert.ToInt64(error.ActualValue)), Is.EqualTo(("indices", (long)wrong)));
            Assert.That(error.Message, Does.Contain($"indices[{position}] is {wrong}, but the table has 10 rows"));
            Assert.That(
                () => EmbeddingLookup.Bag(Table, indices, [0], BagMode.Sum, Destination(1)),
                Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains($"indices[{position}] is {wrong}"));
        }
    }

    [TestCase(long.MaxValue)]
    [TestCase(long.MinValue)]
    [TestCase(1L << 32)]
    [TestCase(-(1L << 32))]
    public void AnIndexOf64BitsIsCheckedWhole(long wrong) =>
        Assert.That(
            () => EmbeddingLookup.Gather(Table, [0, 1, wrong, 2], Destination(4)),
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains($"indices[2] is {wrong}"));

    [Test]
    public void AnyIndexIsOutsideATableOfNoRows() =>
        Assert.That(
            () => EmbeddingLookup.Gather(new(null, 0, Columns), [0], Destination(1)),
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("indices[0] is 0, but the table has 0 rows"));

    [Test]
    public void AnyIndexOutsideIsRefusedAndNoOther()
    {
        using AlignedBuffer<float> result = new(1000 * Columns);
        MatrixView<float> table = Table;
        Property Refused(int[] indices)
        {
            int first = Array.FindIndex(indices, i => i is < 0 or >= Rows);
            string? message = null;
            try
            {
                EmbeddingLookup.Gather(table, indices, new MatrixView<float>(result.Pointer, indices.Length, Columns));
            }
            catch (ArgumentOutOfRangeException error)
            {
                message = error.Message;
            }

            return (first < 0 ? message is null : message!.Contains($"indices[{first}] is {indices[first]},", StringComparison.Ordinal)).ToProperty();
        }

        Gen<int> index = Gen.Frequency((40, Gen.Choose(0, Rows - 1)), (1, Gen.Choose(-3, Rows + 2)), (1, Gen.Elements(int.MinValue, int.MaxValue)));
        Gen<int[]> indices = Gen.Choose(0, 90).SelectMany(index.ArrayOf);
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(500), Prop.ForAll(indices.ToArbitrary(), Refused));
    }

    [Test]
    public void OffsetsBeginAtZeroDoNotDecreaseAndStayWithinTheIndices()
    {
        Assert.That(
            () => EmbeddingLookup.Bag(Table, [1, 2, 3], [1, 2], BagMode.Sum, Destination(2)),
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("offsets[0] is 1, but the first bag must begin at 0"));
        Assert.That(
            () => EmbeddingLookup.Bag(Table, [1, 2, 3], [0, 4], BagMode.Sum, Destination(2)),
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("offsets[1] is 4, but there are 3 indices"));
        Assert.That(
            () => EmbeddingLookup.Bag(Table, [1L, 2L, 3L], [0L, 1L << 32], BagMode.Sum, Destination(2)),
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("offsets[1] is 4294967296, but there are 3 indices"));
        Assert.That(
            () => EmbeddingLookup.Bag(Table, [1, 2, 3], [0, -1], BagMode.Sum, Destination(2)),
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("offsets"));
    }

    [Test]
    public void ADecreasingOffsetIsNamedWhereverItIs([Values] bool includeLast)
    {
        for (int count = 2; count < 40; count++)
        {
            for (int position = 1; position < count; position++)
            {
                int[] offsets = [.. Enumerable.Range(0, count).Select(i => i == 0 ? 0 : i < position ? 50 : i == position ? 0 : 60)];
                if (position == 1)
                    (offsets[0], offsets[1]) = (0, 50);
                int wrong = position == 1 ? 2 : position;
                if (wrong >= count)
                    continue;
                offsets[wrong] = 49;
                Assert.That(
                    () => EmbeddingLookup.Bag(Table, new int[60], offsets, BagMode.Sum, Destination(includeLast ? count - 1 : count), null, includeLast),
                    Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains($"offsets[{wrong}] is 49, but the offset before it is 50"));
            }
        }
    }

    [Test]
    public void TheLastOffsetMustBeThereIfItIsIncluded() =>
        Assert.That(
            () => EmbeddingLookup.Bag(Table, ReadOnlySpan<int>.Empty, ReadOnlySpan<int>.Empty, BagMode.Sum, Destination(0), includeLastOffset: true),
            Throws.ArgumentException.With.Property("ParamName").EqualTo("offsets"));

    [TestCase(-1)]
    [TestCase(Rows)]
    [TestCase(long.MaxValue)]
    [TestCase(long.MinValue)]
    public void ThePaddingIndexMustBeARow(long padding)
    {
        Assert.That(
            () => EmbeddingLookup.Gather(Table, [1], Destination(1), padding),
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("paddingIndex").And.Message.Contains($"{padding}"));
        Assert.That(
            () => EmbeddingLookup.Bag(Table, [1], [0], BagMode.Mean, Destination(1), padding),
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("paddingIndex").And.Property("ActualValue").EqualTo(padding));
    }

    [Test]
    public void AnUndefinedModeIsRefused() =>
        Assert.That(
            () => EmbeddingLookup.Bag(Table, [1], [0], (BagMode)3, Destination(1)),
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("mode"));

    [TestCase(3, Columns, "3 rows, but there are 2 indices", "3 rows, but there are 2 bags")]
    [TestCase(2, Columns + 1, "5 columns, but the table has 4", "5 columns, but the table has 4")]
    public void TheDestinationHasTheRightShape(int rows, int columns, string gather, string bag)
    {
        Assert.That(
            () => EmbeddingLookup.Gather(Table, [1, 2], Destination(rows, columns)),
            Throws.ArgumentException.With.Property("ParamName").EqualTo("destination").And.Message.Contains(gather));
        Assert.That(
            () => EmbeddingLookup.Bag(Table, [1, 2], [0, 1], BagMode.Sum, Destination(rows, columns)),
            Throws.ArgumentException.With.Property("ParamName").EqualTo("destination").And.Message.Contains(bag));
    }

    [Test]
    public void TheDestinationMayTouchButNotOverlapTheTable()
    {
        using AlignedBuffer<float> memory = new(40 * Columns);
        MatrixView<float> all = new(memory.Pointer, 40, Columns);
        MatrixView<float> table = all.Slice(10, 10);
        foreach (int start in (int[])[9, 10, 15, 19])
        {
            Assert.That(
                () => EmbeddingLookup.Gather(table, [1, 2], all.Slice(start, 2)),
                Throws.ArgumentException.With.Message.Contains("The destination overlaps the table."), $"start {start}");
            Assert.That(
                () => EmbeddingLookup.Bag(table, [1, 2], [0, 1], BagMode.Sum, all.Slice(start, 2)),
                Throws.ArgumentException.With.Message.Contains("The destination overlaps the table."), $"start {start}");
        }

        EmbeddingLookup.Gather(table, [1, 2], all.Slice(8, 2));
        EmbeddingLookup.Bag(table, [1, 2], [0, 1], BagMode.Sum, all.Slice(20, 2));
    }

    [Test]
    public void TheDestinationMustNotOverlapIndicesOrOffsets()
    {
        Assert.That(
            () => EmbeddingLookup.Gather(Table, new ReadOnlySpan<int>(_destination.Pointer + 15, 4), Destination(4)),
            Throws.ArgumentException.With.Message.Contains("The destination overlaps the indices."));
        Assert.That(
            () => EmbeddingLookup.Bag(Table, [1, 2], new ReadOnlySpan<int>(_destination.Pointer + 7, 2), BagMode.Sum, Destination(2)),
            Throws.ArgumentException.With.Message.Contains("The destination overlaps the offsets."));
    }

    [Test]
    public void SpansMustHoldWholeRows()
    {
        float[] table = new float[12];
        float[] destination = new float[8];
        Assert.That(() => EmbeddingLookup.Gather(table, 0, [1], destination), Throws.TypeOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("dimension"));
        Assert.That(() => EmbeddingLookup.Gather(table, 5, [1], destination), Throws.ArgumentException.With.Property("ParamName").EqualTo("table"));
        Assert.That(() => EmbeddingLookup.Gather(table, 4, [1], destination), Throws.ArgumentException.With.Property("ParamName").EqualTo("destination"));
        Assert.That(() => EmbeddingLookup.Gather(table, 4, [0, 3], destination), Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("indices[1] is 3"));
        Assert.That(() => EmbeddingLookup.Bag(table, 4, [0, 1], [0], BagMode.Sum, destination), Throws.ArgumentException.With.Property("ParamName").EqualTo("destination"));
        Assert.That(
            () => EmbeddingLookup.Bag(table, 4, [0L, 1L], [], BagMode.Sum, destination, includeLastOffset: true),
            Throws.ArgumentException.With.Property("ParamName").EqualTo("offsets"));
        Assert.That(() => EmbeddingLookup.Gather(destination, 4, [0, 1], destination), Throws.ArgumentException.With.Message.Contains("overlaps the table"));
        Assert.That(destination, Is.All.Zero);
    }
}
