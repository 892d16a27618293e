using System.Reflection;
using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Tests;

public sealed class PublicApiTests
{
    [Test]
    public void ThePublicSurfaceIsTheReviewedOne() => PublicApiText.AssertUnchanged(Assembly.Load("EmbeddingKernels"), "tests/Managed/PublicApi.txt");
}
