using System.Buffers.Binary;
using System.Text;
using static EmbeddingKernels.Tests.Images.PngTests;

namespace EmbeddingKernels.Tests.Images;

public sealed class BmpAndNetpbmTests
{
    [Test]
    public void UnpackedBitmapsAreRead([Values(1, 4, 8, 16, 24, 32)] int bits, [Values(1, 3, 8, 17)] int width, [Values] bool topDown)
    {
        const int Height = 5;
        Random random = new(bits * width);
        int stride = (width * bits + 31) / 32 * 4;
        byte[] rows = new byte[stride * Height], palette = new byte[bits > 8 ? 0 : 4 << bits];
        random.NextBytes(rows);
        random.NextBytes(palette);
        Picture picture = Picture.Decode(Bitmap(width, topDown ? -Height : Height, bits, 0, palette, rows));
        Assert.That((picture.Width, picture.Height), Is.EqualTo((width, Height)));
        for (int y = 0; y < Height; y++)
        {
            ReadOnlySpan<byte> row = rows.AsSpan(stride * (topDown ? y : Height - 1 - y));
            for (int x = 0; x < width; x++)
            {
                int[] wanted;
                if (bits <= 8)
                {
                    int index = 0;
                    for (int b = 0; b < bits; b++)
                        index = (index << 1) | ((row[(x * bits + b) / 8] >> (7 - (x * bits + b) % 8)) & 1);
                    wanted = [palette[4 * index + 2], palette[4 * index + 1], palette[4 * index]];
                }
                else if (bits == 16)
                {
                    int value = BinaryPrimitives.ReadUInt16LittleEndian(row[(2 * x)..]);
                    wanted = [((value >> 10) & 31) * 255 / 31, ((value >> 5) & 31) * 255 / 31, (value & 31) * 255 / 31];
                }
                else
                {
                    int at = x * bits / 8;
                    wanted = [row[at + 2], row[at + 1], row[at]];
                }

                Assert.That(picture.Row(y).Slice(3 * x, 3).ToArray(), Is.EqualTo(wanted), $"{x}, {y}");
            }
        }
    }

    [Test]
    public void BitMasksAreFollowed()
    {
        byte[] masks = [0, 0xF8, 0, 0, 0xE0, 7, 0, 0, 0x1F, 0, 0, 0];
        byte[] file = Bitmap(2, 1, 16, 3, masks, [0xFF, 0xFF, 0xE0, 0x07]);
        Assert.That(Picture.Decode(file).Pixels.ToArray(), Is.EqualTo(new byte[] { 255, 255, 255, 0, 255, 0 }));
    }

    [Test]
    public void PackedBitmapsAreRead()
    {
        byte[] palette = new byte[1024];
        for (int i = 0; i < palette.Length; i++)
            palette[i] = (byte)(i / 4);

        // Rows from the bottom: a run and a literal of three; a jump over a row; a run longer than the row; the end.
        byte[] eight = [3, 7, 0, 3, 1, 2, 3, 0, 0, 0, 0, 2, 2, 1, 9, 9, 0, 0, 0, 1];
        Assert.That(Reds(Picture.Decode(Bitmap(6, 3, 8, 1, palette, eight))), Is.EqualTo(new byte[] { 0, 0, 9, 9, 9, 9, 0, 0, 0, 0, 0, 0, 7, 7, 7, 1, 2, 3 }));

        byte[] four = [5, 0x12, 0, 0, 0, 3, 0x34, 0x50, 0, 1];
        Assert.That(
            Reds(Picture.Decode(Bitmap(5, 2, 4, 2, palette[..64], four))), Is.EqualTo(new byte[] { 3, 4, 5, 0, 0, 1, 2, 1, 2, 1 }));
    }

    [Test]
    public void AnOs2BitmapIsRead()
    {
        byte[] file = new byte[14 + 12 + 6 + 4];
        "BM"u8.CopyTo(file);
        (file[10], file[14], file[18], file[20], file[22], file[24]) = (32, 12, 3, 1, 1, 1);
        file.AsSpan(26, 6).Fill(200);
        file[26] = 1;
        file[32] = 0b0100_0000;
        Assert.That(Picture.Decode(file).Pixels.ToArray(), Is.EqualTo(new byte[] { 200, 200, 1, 200, 200, 200, 200, 200, 1 }));
    }

    [Test]
    public void DefectsOfBitmapsAreNamed()
    {
        byte[] good = Bitmap(4, 4, 24, 0, [], new byte[48]);
        Assert.Multiple(() =>
        {
            Fails(good[..40], "ends inside the header");
            Fails(good[..90], "bytes or more");
            Fails(Bitmap(40_000, 40_000, 24, 0, [], []), "more than the limit");
            Fails(Bitmap(4, int.MinValue, 24, 0, [], []), "more than the limit");
            Fails(Bitmap(0, 4, 24, 0, [], []), "0 x 4 pixels");
            Fails(Bitmap(4, 4, 24, 4, [], new byte[48]), "with packing 4");
            Fails(Bitmap(4, 4, 7, 0, [], new byte[48]), "7 bits");
            Fails(Bitmap(4, -4, 8, 1, new byte[1024], [0, 1]), "from the top down");
            Fails(Bitmap(4, 4, 8, 1, new byte[1024], [4, 1]), "ends inside the packed pixels");
            Fails(Bitmap(10_000, 10_000, 8, 1, new byte[1024], [0, 1]), "bytes or more");
            Fails(Changed(good, 13, 0x7F), "said to begin");
            Fails(Changed(good, 14, 3), "a header of 3 bytes");
        });
    }

    [Test]
    public void NetpbmIsRead()
    {
        Assert.Multiple(() =>
        {
            Assert.That(Netpbm("P1 # a comment\n3 2\n1 0 1\n011", []), Is.EqualTo(Greys(0, 255, 0, 255, 0, 0)));
            Assert.That(Netpbm("P2\n# one\n# two\n2 2 15\n0 5 10 15 ", []), Is.EqualTo(Greys(0, 85, 170, 255)));
            Assert.That(Netpbm("P3 1 2 255 1 2 3\n4 5 6", []), Is.EqualTo(new byte[] { 1, 2, 3, 4, 5, 6 }));
            Assert.That(Netpbm("P4\n9 2\n", [0b1010_0000, 0x80, 0, 0]), Is.EqualTo(Greys(0, 255, 0, 255, 255, 255, 255, 255, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255)));
            Assert.That(Netpbm("P5 2 1 255\n", [7, 200]), Is.EqualTo(Greys(7, 200)));
            Assert.That(Netpbm("P5 2 1 65535\n", [0xFF, 0xFF, 0x80, 0x00]), Is.EqualTo(Greys(255, 128)));
            Assert.That(Netpbm("P6 1 1 100\n", [50, 100, 255]), Is.EqualTo(new byte[] { 128, 255, 255 }));
        });
    }

    [Test]
    public void DefectsOfNetpbmAreNamed()
    {
        Assert.Multiple(() =>
        {
            Fails("P6 "u8.ToArray(), "ends before the width");
            Fails("P6 2 x"u8.ToArray(), "the height is no number");
            Fails("P6 2 2 70000 "u8.ToArray(), "largest value of 70000");
            Fails("P6 2 2 0 "u8.ToArray(), "largest value of 0");
            Fails("P6 99999999999 2 255 "u8.ToArray(), "too large");
            Fails("P6 2 2 255\n123456"u8.ToArray(), "bytes or more");
            Fails("P5 13000 13000 255\n1"u8.ToArray(), "bytes or more");
            Fails("P3 1 1 255 1 2      "u8.ToArray(), "ends before the pixels");
            Fails("P1 2 1 1 2"u8.ToArray(), "neither 0 nor 1");
            Fails("P2 0 1 1 2"u8.ToArray(), "0 x 1 pixels");
        });
    }

    private static byte[] Netpbm(string header, byte[] rest) => Picture.Decode([.. Encoding.ASCII.GetBytes(header), .. rest]).Pixels.ToArray();

    private static byte[] Greys(params byte[] values) => [.. values.SelectMany(v => new[] { v, v, v })];

    private static byte[] Reds(Picture picture) => [.. picture.Pixels.ToArray().Where((_, i) => i % 3 == 0)];

    private static byte[] Bitmap(int width, int height, int bits, int packing, byte[] behindHeader, byte[] pixels)
    {
        byte[] header = new byte[54];
        "BM"u8.CopyTo(header);
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(10), 54 + behindHeader.Length);
        header[14] = 40;
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(18), width);
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(22), height);
        header[26] = 1;
        header[28] = (byte)bits;
        header[30] = (byte)packing;
        return [.. header, .. behindHeader, .. pixels];
    }
}
