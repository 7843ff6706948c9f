// metrics.csv and the event file: what is written, read back here by the published formats (TFRecord framing, CRC-32C
// by its polynomial bit by bit, protocol buffers by field numbers), and what is left after a resumed stage.
using System.Buffers.Binary;
using System.Text;
using EpSam.Native.Pipeline;

namespace EpSam.Native.Tests.Pipeline;

public sealed class JournalTests
{
    RunFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new RunFolder(Directory.CreateTempSubdirectory("epsam-journal-").FullName);

    [TearDown]
    public void RemoveFolder() => Directory.Delete(_folder.Root, recursive: true);

    Journal Open() => new(_folder, () => 1700000000.25);

    [Test]
    public void Commit_WritesCsvAndEvents()
    {
        Journal journal = Open();
        journal.Add("classifier", 3, 51, "val_loss", 0.1 + 0.2);
        journal.Add("round1", 0, 300, "dice", double.NaN);
        Assert.That(File.ReadAllText(_folder.Metrics), Is.EqualTo("stage,epoch,step,name,value\n"));
        journal.Commit();
        Assert.That(File.ReadAllText(_folder.Metrics), Is.EqualTo(
            "stage,epoch,step,name,value\nclassifier,3,51,val_loss,0.30000000000000004\nround1,0,300,dice,NaN\n"));
        List<(double Time, long Step, string Text, float Value)> events = Decode(File.ReadAllBytes(_folder.Events));
        Assert.That(events, Is.EqualTo(new[]
        {
            (1700000000.25, 0L, "brain.Event:2", 0f), (1700000000.25, 51, "classifier/val_loss", 0.3f),
            (1700000000.25, 300, "round1/dice", float.NaN),
        }));
    }

    [Test]
    public void Crc_OfTheCheckValue_IsThePublishedOne() =>
        Assert.That(Crc32C("123456789"u8), Is.EqualTo(0xE3069283u));   // RFC 3720, appendix B.4 and catalogues

    [Test]
    public void Rewind_ToAPlace_ForgetsWhatCameAfter()
    {
        Journal journal = Open();
        journal.Add("classifier", 0, 1, "loss", 0.5);
        string place = journal.Commit();
        (byte[] metrics, byte[] events) = Both();
        journal.Add("classifier", 0, 2, "loss", 0.4);
        journal.Commit();
        journal.Add("classifier", 0, 3, "loss", 0.3);   // not committed
        File.AppendAllText(_folder.Metrics, "classifier,0,3,lo");   // as a crash may leave it
        Journal resumed = Open();
        resumed.Rewind("classifier", place);
        Assert.That(Both(), Is.EqualTo((metrics, events)));
        journal.Rewind("classifier", place);
        Assert.That(journal.Commit(), Is.EqualTo(place), "what was added and not committed is forgotten too");
    }

    [Test]
    public void Rewind_ToTheBeginning_ForgetsTheStageOnly()
    {
        Journal journal = Open();
        journal.Add("classifier", 0, 1, "loss", 0.5);
        journal.Add("round1", 0, 1, "loss", 0.5);
        journal.Commit();
        (byte[] metrics, byte[] events) = Both();
        journal.Add("round0", 0, 7, "loss", 0.5);
        journal.Add("round0", 0, 8, "dice", 0.5);
        journal.Commit();
        File.AppendAllText(_folder.Metrics, "round0,0,9,lo");
        File.AppendAllText(_folder.Events, "half a record");
        journal = Open();
        journal.Rewind("round0", null);
        Assert.That(Both(), Is.EqualTo((metrics, events)));
        journal.Rewind("round7", null);
        Assert.That(Both(), Is.EqualTo((metrics, events)));
    }

    [Test]
    public void Rewind_ToAPlaceThatIsNotThere_SaysSo()
    {
        Journal journal = Open();
        journal.Add("classifier", 0, 1, "loss", 0.5);
        string place = journal.Commit();
        File.WriteAllText(_folder.Metrics, "stage");
        Assert.That(Assert.Throws<RunException>(() => journal.Rewind("classifier", place))!.Message,
            Does.Contain("metrics.csv has 5 bytes"));
        Assert.Throws<RunException>(() => journal.Rewind("classifier", "somewhere"));
    }

    (byte[] Metrics, byte[] Events) Both() => (File.ReadAllBytes(_folder.Metrics), File.ReadAllBytes(_folder.Events));

    // ---- an independent reader

    static List<(double Time, long Step, string Text, float Value)> Decode(byte[] file)
    {
        List<(double, long, string, float)> events = [];
        for (int at = 0; at < file.Length;)
        {
            int length = (int)BinaryPrimitives.ReadUInt64LittleEndian(file.AsSpan(at));
            Assert.That(BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(at + 8)),
                Is.EqualTo(Masked(file.AsSpan(at, 8))));
            byte[] message = file[(at + 12)..(at + 12 + length)];
            Assert.That(BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(at + 12 + length)),
                Is.EqualTo(Masked(message)));
            Dictionary<int, object> one = Fields(message);
            string text = one.TryGetValue(3, out object? version) ? Encoding.UTF8.GetString((byte[])version) : "";
            float value = 0;
            if (one.TryGetValue(5, out object? summary))
            {
                Dictionary<int, object> scalar = Fields((byte[])Fields((byte[])summary)[1]);
                (text, value) = (Encoding.UTF8.GetString((byte[])scalar[1]), (float)scalar[2]);
            }
            events.Add(((double)one[1], one.TryGetValue(2, out object? step) ? (long)step : 0, text, value));
            at += length + 16;
        }
        return events;
    }

    static Dictionary<int, object> Fields(byte[] message)
    {
        Dictionary<int, object> fields = [];
        for (int at = 0; at < message.Length;)
        {
            long key = Varint(message, ref at);
            int field = (int)(key >> 3);
            switch (key & 7)
            {
                case 0: fields.Add(field, Varint(message, ref at)); break;
                case 1: fields.Add(field, BitConverter.ToDouble(message, at)); at += 8; break;
                case 5: fields.Add(field, BitConverter.ToSingle(message, at)); at += 4; break;
                case 2:
                    int length = (int)Varint(message, ref at);
                    fields.Add(field, message[at..(at + length)]);
                    at += length;
                    break;
                default: Assert.Fail($"wire type {key & 7}"); break;
            }
        }
        return fields;
    }

    static long Varint(byte[] message, ref int at)
    {
        long value = 0;
        for (int shift = 0; ; shift += 7)
        {
            byte b = message[at++];
            value |= (long)(b & 0x7F) << shift;
            if ((b & 0x80) == 0) return value;
        }
    }

    static uint Masked(ReadOnlySpan<byte> bytes)
    {
        uint crc = Crc32C(bytes);
        return ((crc >> 15) | (crc << 17)) + 0xA282EAD8;
    }

    static uint Crc32C(ReadOnlySpan<byte> bytes)
    {
        uint crc = 0xFFFFFFFF;
        foreach (byte b in bytes)
        {
            crc ^= b;
            for (int bit = 0; bit < 8; bit++) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82F63B78 : crc >> 1;
        }
        return ~crc;
    }
}
