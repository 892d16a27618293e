using System.Runtime.InteropServices;
using EmbeddingKernels.Bench;

namespace EmbeddingKernels.Core.Tests;

/// <summary>The promise of <see cref="IWide{TSelf}"/>: loops over it have no call, and their vectors stay in registers.</summary>
public sealed class MachineCodeTests
{
    [TestCase(IsaLevel.Portable, 128)]
    [TestCase(IsaLevel.Avx2, 256)]
    [TestCase(IsaLevel.Avx512, 512)]
    public void LoopsOverTheAbstractionHaveNoCallAndNoVectorOnTheStack(IsaLevel level, int bits)
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64)
            Assert.Ignore("skipped: the listing is read for x64 only");
        if (level > Isa.Detected)
            Assert.Ignore($"skipped: this processor offers {Isa.Detected} at most");

        IReadOnlyList<MethodListing> methods = MachineCode.Capture(typeof(ChildProgram).Assembly.Location, ["demo"], "*WideDemo:*", level);
        MethodListing[] loops = [.. methods.Where(method => method.Name.Contains(".Wide" + bits, StringComparison.Ordinal) && !method.Name.Contains("Action", StringComparison.Ordinal))];
        Assert.That(loops.Select(method => method.Name.Split(':')[1].Split('[')[0]), Is.EquivalentTo(new[] { "Dot", "Sigmoid" }));
        foreach (MethodListing method in loops)
        {
            TestContext.Out.WriteLine(method.Summary);
            Assert.Multiple(() =>
            {
                Assert.That(method.Loops, Is.Positive, method.Summary);
                Assert.That(method.VectorInstructions(bits), Is.GreaterThanOrEqualTo(8), method.Summary);
                Assert.That(method.CallsInLoops, Is.Zero, method.Summary);
                Assert.That(method.StackVectorsInLoops, Is.Zero, method.Summary);
            });
        }
    }

    /// <summary>The reader itself, on a listing with one of everything.</summary>
    [Test]
    public void TheReaderCountsInsideLoopsOnly()
    {
        string[] text =
        [
            "; Assembly listing for method First:M():this (FullOpts)",
            "; rbp based frame",
            "G_M000_IG01:",
            "       push     rbp",
            "       vmovups  ymmword ptr [rbp-0x50], ymm3",
            "       call     [Outside]",
            "G_M000_IG02:",
            "       vmovups  zmm1, zmmword ptr [rdi]",
            "       vaddps   ymm2, ymm2, ymmword ptr [rbp-0x30]",
            "       vaddss   xmm2, xmm2, xmm1",
            "       vaddps   xmm2, xmm2, xmm1",
            "       call     [Inside]",
            "       jne      SHORT G_M000_IG02",
            "       jmp      SHORT G_M000_IG03",
            "G_M000_IG03:",
            "       ret      ",
            "; Assembly listing for method Second:M() (FullOpts)",
            "; rsp based frame",
            "G_M000_IG02:",
            "       vmovups  ymm1, ymmword ptr [rbp+0x40]",
            "       vmovups  ymmword ptr [rsp+0x40], ymm1",
            "       jne      G_M000_IG02",
        ];
        IReadOnlyList<MethodListing> methods = MachineCode.Parse(text);
        Assert.That(methods, Has.Count.EqualTo(2));
        Assert.Multiple(() =>
        {
            Assert.That(methods[0].Loops, Is.EqualTo(1));
            Assert.That(methods[0].VectorInstructions(512), Is.EqualTo(1));
            Assert.That(methods[0].VectorInstructions(256), Is.EqualTo(1));
            Assert.That(methods[0].VectorInstructions(128), Is.EqualTo(1));
            Assert.That(methods[0].CallsInLoops, Is.EqualTo(1));
            Assert.That(methods[0].StackVectorsInLoops, Is.EqualTo(1));
            Assert.That(methods[0].StackVectors, Is.EqualTo(2));
            Assert.That(methods[1].StackVectorsInLoops, Is.EqualTo(1), "rbp is no stack pointer in the second");
        });
    }
}
