// A folder of files that appears under its name when it is complete: it is filled beside its target under a temporary
// name, and renamed. On an error, or when it is left without Commit, it is removed, and what was there before stays.
using System.Collections.Concurrent;

namespace EpSam.Cli;

internal sealed class OutputFolder : IDisposable
{
    static readonly ConcurrentDictionary<string, bool> Unfinished = new();

    readonly string _target, _temporary;
    readonly string? _made;   // the topmost folder that had to be made for it

    /// <summary>Begins a folder; folders above it are made.</summary>
    public OutputFolder(string path)
    {
        _target = Path.GetFullPath(path);
        string parent = Path.GetDirectoryName(_target) ?? throw new UserError($"output {path} is the root");
        _temporary = Path.Combine(parent, $".{Path.GetFileName(_target)}.{Environment.ProcessId}.tmp");
        string? above = parent;
        for (; above is not null && !Directory.Exists(above); above = Path.GetDirectoryName(above)) _made = above;
        Unfinished[_temporary] = true;
        Try(() =>
        {
            // of a process that was killed
            if (Directory.Exists(_temporary)) Directory.Delete(_temporary, recursive: true);
            Directory.CreateDirectory(_temporary);
        });
    }

    /// <summary>Adds a file.</summary>
    public void Add(string name, ReadOnlySpan<byte> content)
    {
        byte[] bytes = content.ToArray();
        Try(() =>
        {
            using FileStream stream = new(Path.Combine(_temporary, name), FileMode.CreateNew, FileAccess.Write);
            stream.Write(bytes);
            stream.Flush(flushToDisk: true);
        });
    }

    /// <summary>Gives the folder its name. One of that name is replaced.</summary>
    public void Commit() => Try(() =>
    {
        string old = _temporary + ".old";
        if (Directory.Exists(_target)) Directory.Move(_target, old);
        try
        {
            Directory.Move(_temporary, _target);
        }
        catch
        {
            if (Directory.Exists(old)) Directory.Move(old, _target);
            throw;
        }
        Unfinished.TryRemove(_temporary, out _);
        if (Directory.Exists(old)) Directory.Delete(old, recursive: true);
    });

    /// <summary>
    /// While someone else fills this folder and removes it on failure: should the process end meanwhile, it is removed.
    /// </summary>
    public static IDisposable Filling(string folder) => new Fill(folder);

    sealed class Fill : IDisposable
    {
        readonly string _folder;

        public Fill(string folder) => Unfinished[_folder = folder] = true;

        public void Dispose() => Unfinished.TryRemove(_folder, out _);
    }

    /// <summary>Removes what was not committed.</summary>
    public void Dispose()
    {
        if (!Unfinished.TryRemove(_temporary, out _)) return;
        Remove(_temporary);
        for (string? at = Path.GetDirectoryName(_temporary); _made is not null && at is not null
            && at.Length >= _made.Length;
            at = Path.GetDirectoryName(at))
        {
            if (!Directory.Exists(at) || Directory.EnumerateFileSystemEntries(at).Any()) break;
            Directory.Delete(at);
        }
    }

    /// <summary>Before the process ends in the middle of its work.</summary>
    public static void RemoveUnfinished()
    {
        foreach (string folder in Unfinished.Keys) Remove(folder);
    }

    static void Remove(string folder)
    {
        try
        {
            if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // it keeps its temporary name, which says what it is
        }
    }

    void Try(Action action)
    {
        try
        {
            action();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserError($"cannot write {_target}: {e.Message}");
        }
    }
}
