using System.Runtime.InteropServices;
using System.Text;

namespace EmbeddingKernels.Cli;

internal static class Program
{
    private static int Main(string[] args)
    {
        Console.OutputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
        using CancellationTokenSource interrupt = new();
        Console.CancelKeyPress += (_, e) =>
        {
            // The first interrupt ends the work in order and keeps what is done; a second one ends the process.
            e.Cancel = !interrupt.IsCancellationRequested;
            interrupt.Cancel();
        };
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context =>
        {
            context.Cancel = true;
            interrupt.Cancel();
        });
        return CommandLine.Run(args, Console.Out, Console.Error, !Console.IsErrorRedirected, interrupt.Token);
    }
}
