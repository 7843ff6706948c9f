// data.csv: what the data set of a run was resolved to. It is in the form that a data set is given in, with paths from
// the data set's own folder, so that the folder may be moved. The last column, sizes of files, tells when images were
// exchanged; that is said but not refused, as one that could not be read may have been put right.
using System.Globalization;
using System.Text;

namespace EpSam.Native.Pipeline;

internal static class RunData
{
    public static string Table(PatchSet set, string data)
    {
        string root = Path.GetFullPath(File.Exists(data) ? Path.GetDirectoryName(Path.GetFullPath(data))! : data);
        StringBuilder text = new("image,label,mask,split,x,y,w,h,bytes\n");
        ILookup<int, Patch> patches = set.Patches.ToLookup(p => p.Image);
        for (int i = 0; i < set.Images.Count; i++)
        {
            SourceImage image = set.Images[i];
            string start = CsvText.Field(Relative(root, image.Path)), split = PatchFolder.Name(image.Split);
            string mask = image.MaskPath is null ? "" : CsvText.Field(Relative(root, image.MaskPath));
            long bytes = new FileInfo(image.Path).Length;
            foreach (Patch? patch in patches[i].DefaultIfEmpty())
            {
                string crop = patch?.Crop is Crop c
                    ? string.Create(CultureInfo.InvariantCulture, $"{c.X},{c.Y},{c.Width},{c.Height}") : ",,,";
                text.Append(CultureInfo.InvariantCulture,
                    $"{start},{patch?.Label.ToString(CultureInfo.InvariantCulture)},{mask},{split},{crop},{bytes}\n");
            }
        }
        return text.ToString();
    }

    /// <summary>The table without sizes of files.</summary>
    public static string Identity(string table) =>
        string.Join('\n', table.Split('\n').Select(l => l[..Math.Max(0, l.LastIndexOf(','))]));

    /// <summary>Images whose files have another size than in the table that was written before.</summary>
    public static string[] Changed(string now, string path) => !File.Exists(path) ? []
        : [.. now.Split('\n').Except(File.ReadAllText(path).Split('\n')).Select(l => l.Split(',')[0]).Distinct()];

    /// <summary>The first line that is not in the table that was written before.</summary>
    public static string Difference(string now, string path)
    {
        string[] before = File.Exists(path) ? Identity(File.ReadAllText(path)).Split('\n') : [];
        string[] lines = Identity(now).Split('\n');
        string[] added = [.. lines.Except(before)], removed = [.. before.Except(lines)];
        List<string> said = [];
        if (added.Length > 0) said.Add($"{added.Length} lines are new, the first is {added[0]}");
        if (removed.Length > 0) said.Add($"{removed.Length} are gone, the first is {removed[0]}");
        return said.Count > 0 ? string.Join("; ", said) : "the order differs";
    }

    static string Relative(string root, string path) => Path.GetRelativePath(root, path).Replace('\\', '/');
}
