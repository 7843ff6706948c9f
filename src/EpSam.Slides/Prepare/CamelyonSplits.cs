// The slides that EP-SAM trains, validates and tests on (0_data_preprocess.py), by their full names: its code keys
// CAMELYON16 by number alone, so that normal_061, test_061 and tumor_061 are one to it, and CAMELYON17 by numbers that
// its tables do not have.
using System.Globalization;
using EpSam.Native.Pipeline;

namespace EpSam.Slides.Prepare;

internal static class CamelyonSplits
{
    const string Train16 = "061 018 039 031 035 051 064 040 030 007 025 041 054 065 005 046 023 004 022 008 006 068 "
        + "001 009 015 042 016 056 027 057 038 063 019 045 037 062 058 033 010 002 060 055 069 052 066 011 024";
    const string Val16 = "048 013 067 044 043 036";
    const string Test16 = "032 047 049 028 050 053 034 012 059 014 020 003 026 029 017";

    // Patient, then one digit for the node.
    const string Train17 = "241 512 204 224 444 481 423 603 674 213 161 363 451 151 174 720 202 410 171 640 382 120 "
        + "662 681 402 464 731";
    const string Val17 = "343 521 152";
    const string Test17 = "622 391 044 614 104 091 754 463 172";

    /// <summary>Slides of CAMELYON16: tumor_061.</summary>
    public static Dictionary<string, Split> Camelyon16() => Of(Train16, Val16, Test16, id => "tumor_" + id);

    /// <summary>Slides of CAMELYON17: patient_024_node_1.</summary>
    public static Dictionary<string, Split> Camelyon17() => Of(Train17, Val17, Test17, id =>
    {
        int patient = int.Parse(id[..^1], CultureInfo.InvariantCulture);
        return string.Create(CultureInfo.InvariantCulture, $"patient_{patient:000}_node_{id[^1]}");
    });

    static Dictionary<string, Split> Of(string train, string val, string test, Func<string, string> name)
    {
        Dictionary<string, Split> splits = new(StringComparer.OrdinalIgnoreCase);
        foreach ((Split split, string ids) in new[] { (Split.Train, train), (Split.Val, val), (Split.Test, test) })
            foreach (string id in ids.Split(' ')) splits.Add(name(id), split);
        return splits;
    }
}
