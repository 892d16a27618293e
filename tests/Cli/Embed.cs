namespace EmbeddingKernels.Cli.Tests;

/// <summary>Calls of the command line as a user makes them.</summary>
internal static class Embed
{
    public static (int Code, string Output, string Error) Run(params string[] args)
    {
        using StringWriter output = new();
        using StringWriter error = new();
        int code = CommandLine.Run(args, output, error, interactive: false, CancellationToken.None);
        return (code, output.ToString(), error.ToString());
    }

    /// <summary>Checks that a call failed with this code and one line that says why.</summary>
    public static void AssertOneLine((int Code, string Output, string Error) result, int code)
    {
        Assert.That(result.Code, Is.EqualTo(code), result.Error);
        string[] lines = result.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(lines[^1], Does.StartWith("embed: "));
        Assert.That(result.Error, Does.Not.Contain("   at "), "no stack trace");
        Assert.That(result.Output, Is.Empty);
    }
}
