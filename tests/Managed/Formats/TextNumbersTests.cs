using System.Globalization;
using System.Text;

namespace EmbeddingKernels.Tests;

public sealed class TextNumbersTests
{
    private static int Bits(float value) => BitConverter.SingleToInt32Bits(value);

    [Test]
    public void EveryFloatReadsBackFromItsShortestForm()
    {
        Random random = new(1);
        Span<byte> text = stackalloc byte[TextNumbers.MaximumBytes];
        for (int i = 0; i < 300_000; i++)
        {
            float value = BitConverter.Int32BitsToSingle(random.Next(int.MinValue, int.MaxValue));
            int length = TextNumbers.Format(value, text);
            Assert.That(TextNumbers.TryParse(text[..length], out float back));
            if (float.IsNaN(value) ? !float.IsNaN(back) : Bits(back) != Bits(value))
                Assert.Fail($"{value:R} came back as {back:R}");
        }
    }

    [Test]
    public void DecimalsAreRoundedAsTheRuntimeDoes()
    {
        Random random = new(2);
        for (int i = 0; i < 300_000; i++)
        {
            string digits = random.NextInt64(1L << random.Next(1, 63)).ToString(CultureInfo.InvariantCulture);
            string text = (i % 4) switch
            {
                0 => $"-{digits}e{random.Next(-60, 40)}",
                1 => $"{digits}E+{random.Next(0, 30)}",
                2 => digits.Insert(random.Next(digits.Length + 1), "."),
                _ => "0.000" + digits,
            };
            Check(text);
        }
    }

    [Test]
    public void DecimalsBetweenTwoFloatsAreRoundedToEven()
    {
        Random random = new(3);
        for (int i = 0; i < 50_000; i++)
        {
            // the middle between two floats, and decimals a hair beside it, which a detour through double would lose
            float low = BitConverter.Int32BitsToSingle(random.Next(0x3a000000, 0x4f000000));
            decimal middle = ((decimal)(double)low + (decimal)(double)MathF.BitIncrement(low)) / 2;
            Check(middle.ToString(CultureInfo.InvariantCulture));
            Check(((double)low / 2 + (double)MathF.BitIncrement(low) / 2).ToString("R", CultureInfo.InvariantCulture));
            Check(((double)low / 2 + (double)MathF.BitIncrement(low) / 2).ToString("E16", CultureInfo.InvariantCulture));
        }
    }

    [TestCase("nan", float.NaN)]
    [TestCase("-nan", float.NaN)]
    [TestCase("NaN", float.NaN)]
    [TestCase("inf", float.PositiveInfinity)]
    [TestCase("+Infinity", float.PositiveInfinity)]
    [TestCase("-INF", float.NegativeInfinity)]
    [TestCase("1e999", float.PositiveInfinity)]
    [TestCase("-0.0", -0.0f)]
    [TestCase("3.4028236e38", float.PositiveInfinity)]
    [TestCase("3.4028235e38", float.MaxValue)]
    [TestCase("1e-45", float.Epsilon)]
    [TestCase("1e-400", 0f)]
    [TestCase(".5", 0.5f)]
    [TestCase("5.", 5f)]
    public void ReadsWhatCAndPythonPrint(string text, float expected)
    {
        Assert.That(TextNumbers.TryParse(Encoding.ASCII.GetBytes(text), out float value));
        Assert.That(value, Is.EqualTo(expected));
        if (expected == 0)
            Assert.That(float.IsNegative(value), Is.EqualTo(float.IsNegative(expected)));
    }

    [TestCase("")]
    [TestCase("-")]
    [TestCase(".")]
    [TestCase("e5")]
    [TestCase("1e")]
    [TestCase("1e+")]
    [TestCase("1,5")]
    [TestCase(" 1")]
    [TestCase("1 ")]
    [TestCase("0x10")]
    [TestCase("--1")]
    [TestCase("1.2.3")]
    [TestCase("word")]
    [TestCase("in")]
    [TestCase("n2")]
    public void RefusesWhatIsNoNumber(string text) => Assert.That(TextNumbers.TryParse(Encoding.ASCII.GetBytes(text), out _), Is.False);

    private static void Check(string text)
    {
        float expected = float.Parse(text, CultureInfo.InvariantCulture);
        Assert.That(TextNumbers.TryParse(Encoding.ASCII.GetBytes(text), out float value));
        if (Bits(value) != Bits(expected))
            Assert.Fail($"{text} gave {value:R} and not {expected:R}");
    }
}
