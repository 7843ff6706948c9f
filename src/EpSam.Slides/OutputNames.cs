// What outputs of files are called: names that follow from the paths alone, so that the same command line gives the
// same ones. Compared without regard to case, as some file systems do.
namespace EpSam.Slides;

/// <summary>Names outputs.</summary>
public static class OutputNames
{
    /// <summary>
    /// A name for each file that no other has: a/one.svs is one; where two would be the same: one.svs and one.tif; else
    /// one.svs, one.svs-2.
    /// </summary>
    /// <param name="files">Their paths.</param>
    /// <param name="nameless">For what has no name of its own.</param>
    public static string[] Of(IReadOnlyList<string> files, string nameless)
    {
        string[] names = [.. files.Select(f => Plain(Path.GetFileNameWithoutExtension(f), nameless))];
        HashSet<string> once = [.. names.GroupBy(n => n, StringComparer.OrdinalIgnoreCase)
            .Where(g => g.Count() == 1).Select(g => g.Key)];
        HashSet<string> taken = new(once, StringComparer.OrdinalIgnoreCase);
        for (int i = 0; i < names.Length; i++)
        {
            if (once.Contains(names[i])) continue;
            string full = names[i] = Plain(Path.GetFileName(files[i]), nameless);
            for (int n = 2; !taken.Add(names[i]); n++) names[i] = $"{full}-{n}";
        }
        return names;
    }

    // A name that is hidden, empty or a folder's ("..") is no name for an output.
    static string Plain(string name, string nameless)
    {
        string plain = name.Trim().TrimStart('.');
        return plain.Length == 0 ? nameless : plain;
    }
}
