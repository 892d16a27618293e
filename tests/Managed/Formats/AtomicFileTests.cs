using System.Runtime.Versioning;
using System.Text;

namespace EmbeddingKernels.Tests;

public sealed class AtomicFileTests
{
    [Test]
    public void AFailureLeavesTheOldContentAndNothingElse()
    {
        using TemporaryFolder folder = new();
        File.WriteAllText(folder["a"], "old");
        Assert.That(() => AtomicFile.Write(folder["a"], stream =>
        {
            stream.Write("new"u8);
            throw new InvalidOperationException("half way");
        }), Throws.InvalidOperationException);
        Assert.That(File.ReadAllText(folder["a"]), Is.EqualTo("old"));
        Assert.That(Directory.GetFileSystemEntries(folder.Path), Has.Length.EqualTo(1));
    }

    [Test]
    [Platform(Exclude = "Win", Reason = "symbolic links need a privilege on Windows")]
    [UnsupportedOSPlatform("windows")]
    public void ALinkStaysALinkAndItsFileChanges()
    {
        using TemporaryFolder folder = new();
        File.WriteAllText(folder["a"], "old");
        File.SetUnixFileMode(folder["a"], UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupWrite);
        File.CreateSymbolicLink(folder["link"], folder["a"]);
        AtomicFile.Write(folder["link"], stream => stream.Write("new"u8));
        Assert.That(new FileInfo(folder["link"]).LinkTarget, Is.EqualTo(folder["a"]));
        Assert.That(File.ReadAllText(folder["a"]), Is.EqualTo("new"));
        Assert.That(File.GetUnixFileMode(folder["a"]), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupWrite));
    }

    [Test]
    public void ADeviceIsWrittenToAndStays()
    {
        if (!File.Exists("/dev/null"))
            Assert.Ignore("skipped: there is no /dev/null");
        AtomicFile.Write("/dev/null", stream => stream.Write(Encoding.ASCII.GetBytes("x")));
        Assert.That(File.ReadAllBytes("/dev/null"), Is.Empty);
    }

    [Test]
    public void AMissingFolderIsSaid() =>
        Assert.That(() => AtomicFile.Write(Path.Combine(Path.GetTempPath(), "embedding-kernels-none", "a"), _ => { }), Throws.TypeOf<DirectoryNotFoundException>());
}
